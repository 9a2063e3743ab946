"""Output in encodings that cannot hold all of it: no command ends because of that."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import journeyman as jm
import pytest
from journeyman.cli import main
from journeyman.cli.app import COMMANDS
from journeyman.cli.shared.encoding import write_anything
from support.forks import forker

Run = Callable[..., "subprocess.CompletedProcess[str]"]

C_LOCALE = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
UNKNOWN = ("why", "nothing…such")
CALLS = [
    *(("status",), ("why", "…0000001"), ("history", "…0000001"), ("tail", "--no-follow"), ("dlq", "list")),
    *(("consumers",), ("export", "-"), ("verify",), ("--help",), ("status", "--help"), UNKNOWN),
    *(("revoke", "…0000001"), ("submit", "Ärger…", "--args", '["→…"]'), ("pause", "Grüße…"), ("resume", "Grüße…")),
    *(("lock", "list"), ("schedule", "list"), ("requests",), ("requeue", "--help"), ("report",), ("init", "--help")),
    ("compact", "--keep", "30d", "--dry-run"),
    *(("export", "….jsonl"), ("import", "….jsonl"), ("backup", "copy.db"), ("restore", "copy.db", "--force")),
]
# Commands that run until they are stopped: other tests of them start processes.
LASTING = {"worker", "thread-pool", "process-pool", "scheduler", "serve", "demo", "top"}


@pytest.fixture
def filled(url: str) -> str:
    """The URL of a journal with a task whose name no narrow encoding holds."""
    with jm.Journal(url) as journal:
        jm.Broker(journal).submit(jm.Message(uuid="task-𝄞-000000001", task_name="naïve…→漢", args=["…漢"]))
    return url


def check(command: tuple[str, ...], done: "subprocess.CompletedProcess[bytes]") -> None:
    told = done.stderr.decode(errors="replace")
    assert done.returncode == (1 if command is UNKNOWN else 0), (command, told)
    assert "Traceback" not in told, command
    assert done.stdout or done.stderr, command


def test_commands_never_fail_in_the_c_locale(shop: Path, filled: str) -> None:
    """Each gets its arguments as this locale decodes them."""
    environment = os.environ | C_LOCALE | {"JOURNEYMAN_JOURNAL": filled}
    with forker(environment=environment) as forks:
        for command in CALLS:
            check(command, forks.run(*command, directory=shop))


def test_every_command_has_run_as_a_process() -> None:
    assert {command[0] for command in CALLS if not command[0].startswith("-")} | LASTING == set(COMMANDS)


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_commands_never_fail_on_a_narrow_encoding(
    shop: Path, filled: str, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    monkeypatch.chdir(shop)
    monkeypatch.setenv("JOURNEYMAN_JOURNAL", filled)
    for command in CALLS:
        out, err = io.TextIOWrapper(io.BytesIO(), encoding), io.TextIOWrapper(io.BytesIO(), encoding)
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            status = main(command)
            sys.stderr.flush()
        check(command, subprocess.CompletedProcess(command, status, out.buffer.getvalue(), err.buffer.getvalue()))


def test_unencodable_characters_are_written_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="latin-1"))
    write_anything()
    print("…d59c189e • é 漢 \udcff")
    sys.stdout.flush()
    assert written.getvalue() == b".d59c189e * \xe9 \\u6f22 \\udcff\n"


def test_json_output_stays_utf_8(run: Run, filled: str) -> None:
    done = run("why", "…0000001", "--json", "--journal", filled, PYTHONIOENCODING="ascii:strict")
    assert json.loads(done.stdout)["name"] == "naïve…→漢"
