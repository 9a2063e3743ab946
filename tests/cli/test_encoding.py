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
from journeyman.cli.shared.encoding import write_anything

Run = Callable[..., "subprocess.CompletedProcess[str]"]

ENVIRONMENTS = [
    {"PYTHONIOENCODING": "latin-1"},
    {"PYTHONIOENCODING": "ascii"},
    {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
]
COMMANDS = [
    *(("status",), ("why", "…0000001"), ("history", "…0000001"), ("tail", "--no-follow"), ("dlq", "list")),
    *(("consumers",), ("export", "-"), ("verify",), ("--help",), ("status", "--help"), ("why", "nothing…such")),
    *(("revoke", "…0000001"), ("submit", "Ärger…", "--args", '["→…"]'), ("pause", "Grüße…")),
]


@pytest.fixture
def filled(url: str) -> str:
    """The URL of a journal with a task whose name no narrow encoding holds."""
    with jm.Journal(url) as journal:
        jm.Broker(journal).submit(jm.Message(uuid="task-𝄞-000000001", task_name="naïve…→漢", args=["…漢"]))
    return url


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=["latin-1", "ascii", "C"])
def test_commands_never_fail_on_a_narrow_encoding(shop: Path, filled: str, environment: dict[str, str]) -> None:
    for command in COMMANDS:
        done = subprocess.run(
            [sys.executable, "-m", "journeyman", *command],
            cwd=shop,
            env=os.environ | environment | {"JOURNEYMAN_JOURNAL": filled},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
        told = done.stderr.decode(errors="replace")
        assert done.returncode == (1 if command[-1] == "nothing…such" else 0), (command, told)
        assert "Traceback" not in told, command
        assert done.stdout or done.stderr, command


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
