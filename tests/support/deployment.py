"""The files of `deploy/`, read, and their commands parsed by the real command line."""

import io
import re
import shlex
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from journeyman.cli.app import main
from journeyman.service.limits import PORT
from journeyman.workers.health.report import HealthTarget

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
MANIFESTS = [
    manifest
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    for manifest in yaml.safe_load_all(path.read_text())
]
UNITS = {path.stem: path.read_text() for path in (DEPLOY / "systemd").glob("*.service")}


def of_kind(kind: str) -> list[dict[str, Any]]:
    """The Kubernetes manifests of a kind."""
    return [manifest for manifest in MANIFESTS if manifest["kind"] == kind]


class Command(NamedTuple):
    """A command of a deployment, and the time in seconds that it has between SIGTERM and SIGKILL."""

    place: str
    arguments: list[str]
    patience: float
    ports: list[int]


def commands() -> Iterator[Command]:
    for name, service in COMPOSE["services"].items():
        if service["image"].startswith("journeyman"):
            patience = float(service["stop_grace_period"].removesuffix("s"))
            published = [int(port.rpartition(":")[2]) for port in service.get("ports", ())]
            yield Command(f"compose {name}", service["command"], patience, published)
    for deployment in of_kind("Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        for container in pod["containers"]:
            ports = [port["containerPort"] for port in container.get("ports", ())]
            grace = pod.get("terminationGracePeriodSeconds", 30)
            pause = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
            yield Command(f"kubernetes {container['name']}", container["args"], grace - pause, ports)
    for name, text in UNITS.items():
        settings = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))
        _, *arguments = shlex.split(settings["ExecStart"].replace("%i", "1"))
        yield Command(f"systemd {name}", arguments, float(settings["TimeoutStopSec"]), [])


COMMANDS = list(commands())


def is_command(arguments: list[str]) -> bool:
    """Whether the command line has such a command with all of these options; it says so on stderr if not."""
    with redirect_stdout(io.StringIO()):
        return main([*arguments, "--help"]) == 0


def option(arguments: list[str], name: str) -> str | None:
    """The value of an option in a command; None if it is not there."""
    return arguments[arguments.index(name) + 1] if name in arguments else None


def port_of(arguments: list[str]) -> int:
    """The port at which a service or a worker answers."""
    if arguments[0] == "serve":
        return int(option(arguments, "--port") or PORT)
    return HealthTarget.parse(option(arguments, "--health") or "").port
