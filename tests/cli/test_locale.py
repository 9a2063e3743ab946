"""A terminal whose encoding knows few characters: commands print all the same."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import journeyman as jm
import pytest
from support.forks import Forker, forker

POOR = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
TASK = "t\u00e4sk"


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/shop.db"
    with jm.Journal(url) as journal:
        jm.Task(lambda x: x, jm.Broker(journal), "gr\u00fc\u00dfe").generate(args=["\u20ac\u2026"], uuid=TASK)
        journal.append("order.paid", {"by": "J\u00fcrgen"}, key="\u2603")
    return url


@pytest.fixture(scope="module", params=[True, False], ids=["poor", "rich"])
def poor(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module")
def narrow(poor: bool) -> Iterator[Forker]:
    """Commands whose output is that of a poor terminal, or of one in ASCII that refuses what it does not know."""
    with forker(environment=os.environ | (POOR if poor else {"PYTHONIOENCODING": "ascii:strict"})) as found:
        yield found


@pytest.fixture(scope="module")
def named(poor: bool) -> Iterator[Forker]:
    """Commands whose names of files are those of a poor terminal, or in UTF-8."""
    with forker(environment=os.environ | (POOR if poor else {"PYTHONUTF8": "1"})) as found:
        yield found


@pytest.mark.parametrize("command", ["status", "tail --no-follow", "export -", f"why {TASK}", f"history {TASK}"])
def test_output_of_any_characters_is_printed(narrow: Forker, url: str, tmp_path: Path, command: str) -> None:
    done = narrow.run(*command.split(), "--journal", url, directory=tmp_path)
    assert done.returncode == 0, done.stderr
    assert b"unexpected" not in done.stderr
    if not command.startswith("export"):
        done.stdout.decode("ascii")
    if command.startswith("tail"):
        assert rb"by=J\xfcrgen" in done.stdout


LATIN_1 = b"l\xe9tin.db"


def test_backups_have_names_of_any_characters_in_utf_8(named: Forker, url: str, tmp_path: Path, poor: bool) -> None:
    """The same name means the same file in every locale; of a name that SQLite cannot take a sentence tells."""

    def call(command: str, name: bytes, to: str, *options: str) -> "subprocess.CompletedProcess[bytes]":
        return named.run(command, name, "--journal", to, *options, directory=tmp_path)

    name, back = "b\u00fc\u20ac.db", f"sqlite:///{tmp_path}/back.db"
    for options in ((), ("--force",)):
        done = call("backup", name.encode(), url, "--json", *options)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["journal"] == name
    assert (tmp_path / name).is_file()
    assert call("backup", name.encode(), url).returncode == 1, "it is there"
    done = call("restore", name.encode(), back)
    assert done.returncode == 0, done.stderr
    with jm.Journal(back, create=False) as journal:
        assert [event.key for event in journal.read().events] == [TASK, "\u2603"]
    for command in ("backup", "restore"):
        done = call(command, LATIN_1, url, "--force")
        assert (done.returncode, b"SQLite takes the names of files in UTF-8" in done.stderr) == (1, True)
    assert not (tmp_path / os.fsdecode(LATIN_1)).exists()
    done = call("verify", b"--json", f"sqlite:///{tmp_path}/\u00fcber.db")
    assert b"unexpected" not in done.stderr
    assert (b"Set PYTHONUTF8=1" in done.stderr) == poor
