"""A terminal whose encoding knows few characters: commands print all the same."""

import os
import subprocess
import sys
from pathlib import Path

import journeyman as jm
import pytest

POOR = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
TASK = "t\u00e4sk"


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/shop.db"
    with jm.Journal(url) as journal:
        jm.Task(lambda x: x, jm.Broker(journal), "gr\u00fc\u00dfe").generate(args=["\u20ac\u2026"], uuid=TASK)
        journal.append("order.paid", {"by": "J\u00fcrgen"}, key="\u2603")
    return url


@pytest.mark.parametrize("command", ["status", "tail --no-follow", "export -", f"why {TASK}", f"history {TASK}"])
@pytest.mark.parametrize("poor", [True, False])
def test_output_of_any_characters_is_printed(url: str, command: str, poor: bool) -> None:
    environment = {**os.environ, **(POOR if poor else {"PYTHONIOENCODING": "ascii:strict"})}
    done = subprocess.run(
        [sys.executable, "-m", "journeyman", *command.split(), "--journal", url],
        env=environment,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"unexpected" not in done.stderr
    if not command.startswith("export"):
        done.stdout.decode("ascii")
    if command.startswith("tail"):
        assert rb"by=J\xfcrgen" in done.stdout
