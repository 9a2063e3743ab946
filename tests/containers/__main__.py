"""`make containers`: follow the README of a new package with a real engine, kill a worker on the way, and count."""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from containers.engine import TrialFailed, expect, missing_part, run, run_shown, write_package
from containers.readme import commands_under

ROOT: Final = Path(__file__).parents[2]
NAME: Final = "journeyman_trial"
TASKS: Final = 3_000
WORKERS: Final = 3
KILLED_STATUS: Final = 137
RESULT_MS_MAX: Final = 60_000
# Submits the tasks, says so on a line of its own, and compares all results.
SUBMIT: Final = f"""
import journeyman as jm
from {NAME}.tasks import broker, total

messages = [total.submit([float(number), 1.0]) for number in range({TASKS})]
print("submitted", flush=True)
store = jm.ResultStore(broker.journal)
results = [store.get(message, timeout={RESULT_MS_MAX}) for message in messages]
raise SystemExit(results != [number + 1.0 for number in range({TASKS})])
"""
INSIDE: Final = ("docker", "compose", "run", "--rm", "--no-TTY")
UP: Final = ("docker", "compose", "up", "--detach", "--wait")


def main() -> int:
    """Return 0 if all held, 1 if something did not, 2 if there is no engine."""
    parser = argparse.ArgumentParser(prog="make containers", description=__doc__)
    parser.add_argument("--build-network", help="the network in which Journeyman's image is built, such as `host`")
    network = parser.parse_args().build_network
    missing = missing_part()
    if missing is not None:
        print(missing, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as directory:
        package = write_package(NAME, Path(directory))
        try:
            _try_out(package, network)
        except TrialFailed as error:
            print(error, file=sys.stderr)
            return 1
        finally:
            run(["docker", "compose", "down", "--volumes", "--rmi", "all"], package)
    print("all held")
    return 0


def _try_out(package: Path, network: str | None) -> None:
    build, *commands, down = commands_under("In containers", package / "README.md")
    build[2:2] = ["--network", network] if network else []
    run_shown([str(ROOT) if word == "PATH-TO-JOURNEYMAN" else word.replace("PATH-TO-JOURNEYMAN", str(ROOT))
               for word in build], package)  # fmt: skip
    for command in commands:
        run_shown(command, package)
    expect("tasks that succeeded", 1, _totals(package)["succeeded"])
    _kill_one_of_several(package)
    run_shown(["docker", "compose", "stop"], package)
    expect("exit statuses of the workers", [0] * (WORKERS - 1) + [KILLED_STATUS], _exit_statuses(package))
    run_shown([*INSIDE, "worker", "verify"], package)
    run_shown(down, package)
    run_shown(UP, package)
    totals = _totals(package)
    seen = {each: totals[each] for each in ("submitted", "succeeded", "claimed", "dead", "stale_outcomes")}
    total = TASKS + 1
    whole = {"submitted": total, "succeeded": total, "claimed": 0, "dead": 0, "stale_outcomes": 0}
    expect("tasks of the journal that the volume kept", whole, seen)


def _kill_one_of_several(package: Path) -> None:
    run_shown([*UP, "--scale", f"worker={WORKERS}"], package)
    workers = run(["docker", "compose", "ps", "--quiet", "worker"], package).split()
    print(f"{TASKS:,} tasks, and SIGKILL for one of {len(workers)} workers", flush=True)
    command = [*INSIDE, "--entrypoint", "python", "worker", "-c", SUBMIT]
    with subprocess.Popen(command, cwd=package, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        expect("the program", "submitted", program.stdout.readline().strip())
        run(["docker", "kill", workers[0]])
    expect("exit status of the program, which compares all results", 0, program.returncode)


def _totals(package: Path) -> dict[str, Any]:
    totals: dict[str, Any] = json.loads(run([*INSIDE, "worker", "status", "--json"], package))["totals"]
    return totals


def _exit_statuses(package: Path) -> list[int]:
    stopped = run(["docker", "compose", "ps", "--all", "--quiet", "worker"], package).split()
    return sorted(
        int(status) for status in run(["docker", "inspect", "--format", "{{.State.ExitCode}}", *stopped]).split()
    )


if __name__ == "__main__":
    sys.exit(main())
