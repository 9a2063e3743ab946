"""The tutorial is done as a reader does it: its files are written, its commands are run, and print what the page says.

What differs from run to run (times, spans, ids, process numbers, host, directory) is taken from the output where it
first appears, and has to be the same wherever the page repeats it.
"""

import getpass
import os
import re
import signal
import socket
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Final

import pytest
from support.service import free_port
from support.tutorial_install import clone_into, show_dependencies, without_network
from support.waiting import wait_until

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
# The commands of the text: the installation, and what each terminal begins with.
INSTALL, BEGIN = (
    [line.strip() for line in block.splitlines()] for block in re.findall(r"\n\n((?:    .+\n)+)", TEXT.split("```")[0])
)
BLOCKS = re.findall(r'```(python|console)(?: title="([^"]+)")?\n(.*?)```', TEXT, re.DOTALL)
READS: Final = (*(f"journeyman {name}" for name in ("why", "history", "status", "dlq list", "tail")), "curl")
PATIENCE_SECONDS: Final = 60.0

# What stands for a value of this run, and what that can be; the same text on the page is the same value.
BOUND: Final = (
    (r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    (r"…[0-9a-f]{8}", r"…[0-9a-f]{8}"),
    (r"\b40\d{3}\b", r"\d+"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\+00:00", r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\+00:00"),
)
# What is a measure of this run, and only has to be one.
MEASURES: Final = (
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}", r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}"),
    (r"(?<=at )\d\d:\d\d:\d\d\+00:00|\b\d\d:\d\d:\d\d\+00:00", r"\d\d:\d\d:\d\d\+00:00"),
    (r"(?<!lease is )(?<!lease of )(?<![\d.])\d+(?:\.\d+)? (?:ms|s|min)\b", r"\d+(?:\.\d+)? (?:ms|s|min(?: \d+ s)?)"),
    (r"(?<=created_at=)\d+|(?<=claim=)\d+|(?<=ran_ms=)[\d.]+|(?<=\"timestamp\":)[\d.]+", r"[\d.]+"),
    (r" +", r" +"),
)
TOKEN: Final = re.compile("|".join(f"({page})" for page, _ in (*BOUND, *MEASURES)))


class Reader:
    """A reader of the tutorial: a directory, the terminals, and the values of this run by their text on the page."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = str(free_port())
        self.known = {
            "/home/ada/tutorial": str(directory),
            "ada@laptop": f"{getpass.getuser()}@{socket.gethostname()}",
            "laptop": socket.gethostname(),
            "8080": self.port,
        }
        left_out = {"JOURNEYMAN_JOURNAL", "PYTHONPATH", "VIRTUAL_ENV"}
        self.environment = {name: value for name, value in os.environ.items() if name not in left_out} | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "TZ": "UTC",
            "NO_COLOR": "1",
        }
        self.terminals: dict[str, subprocess.Popen[bytes]] = {}
        self.files: list[IO[bytes]] = []

    def install(self) -> None:
        """Install as the page says, with a clone beside the directory, and without the network."""
        clone_into(self.directory.parent / "journeyman")
        self.environment |= without_network(self.directory.parent / "packages")
        make, install = INSTALL
        self.in_bash(make)
        show_dependencies(self.directory / ".venv")
        printed = self.in_bash(f"{BEGIN[0]} && {install} && python -c 'import journeyman; print(journeyman.__file__)'")
        assert printed.splitlines()[-1].startswith(f"{self.directory}/.venv/"), printed

    def in_bash(self, line: str) -> str:
        """Run a line of the installation, which succeeds."""
        done = self.run(line)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def do(self, language: str, terminal: str, text: str) -> None:
        """Do what one block of the page says."""
        if language == "python":
            name = text.partition("\n")[0].removeprefix("# ")
            (self.directory / name).write_text(text, encoding="utf-8")
            return
        for command, said in re.findall(r"\$ (.*)\n((?:(?!\$ ).*\n)*)", text):
            if terminal:
                self.start(terminal, command, said)
            elif command.startswith(READS):  # a reader who is too early looks again
                wait_until(partial(self.reads, command, said), f"{command} to print\n{said}", PATIENCE_SECONDS)
            else:
                printed = self.printed_by(command)
                assert self.matches(said, printed), f"{command} printed\n{printed}and not\n{said}"

    def reads(self, command: str, said: str) -> bool:
        """Whether a command that changes nothing prints what the page says; it is shown if it does not."""
        printed = self.printed_by(command)
        fits = self.matches(said, printed)
        if not fits:
            print(f"{command} has printed so far:\n{printed}")
        return fits

    def printed_by(self, command: str) -> str:
        """Run a command in the first terminal."""
        done = self.run(" && ".join([*BEGIN, self.own(command)]))
        return done.stdout + done.stderr

    def run(self, line: str) -> "subprocess.CompletedProcess[str]":
        """Run a line of bash in the directory."""
        return subprocess.run(
            ["bash", "-c", line],
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def start(self, terminal: str, command: str, said: str) -> None:
        """Start a command that goes on, in a terminal of its own, and wait until it has printed what the page says."""
        before = self.terminals.pop(terminal, None)
        if before is not None:
            assert before.wait(60) == -signal.SIGKILL, "its program was killed, so that the terminal is free"
        path = self.directory / f"{terminal}-{len(self.files)}.log"
        self.files.append(path.open("wb"))
        self.terminals[terminal] = subprocess.Popen(
            ["bash", "-c", " && ".join([*BEGIN, f"exec {self.own(command)}"])],
            cwd=self.directory,
            env=self.environment,
            stdout=self.files[-1],
            stderr=subprocess.STDOUT,
        )
        wait_until(
            lambda: self.matches(said, path.read_text(encoding="utf-8")),
            f"{command} to print\n{said}",
            PATIENCE_SECONDS,
        )

    def own(self, command: str) -> str:
        """The command with the values of this run."""
        for page, value in self.known.items():
            command = command.replace(page, value)
        return command

    def matches(self, said: str, printed: str) -> bool:
        """Whether this was printed; if so, note the values of this run that it shows for the first time."""
        new: dict[str, str] = {}
        parts, last = [], 0
        for token in TOKEN.finditer(said):
            parts.append(self.literally(said[last : token.start()]))
            kind = (token.lastindex or 0) - 1
            if kind >= len(BOUND):
                parts.append(MEASURES[kind - len(BOUND)][1])
            elif token[0] in self.known:
                parts.append(re.escape(self.known[token[0]]))
            elif token[0] in new:
                parts.append(f"(?P={new[token[0]]})")
            else:
                new[token[0]] = f"value{len(new)}"
                parts.append(f"(?P<{new[token[0]]}>{BOUND[kind][1]})")
            last = token.end()
        pattern = "".join(parts) + self.literally(said[last:])
        found = re.fullmatch(pattern, printed if printed.endswith("\n") or not said else f"{printed}\n")
        if found is not None:
            self.known |= {page: found[group] for page, group in new.items()}
        return found is not None

    def literally(self, text: str) -> str:
        """The pattern of a text of the page, with host, directory and port of this run."""
        names = ("/home/ada/tutorial", "ada@laptop", "laptop", "8080")
        pieces = re.split("(" + "|".join(map(re.escape, names)) + ")", text)
        return "".join(re.escape(self.known[piece] if piece in names else piece) for piece in pieces)

    def close(self) -> None:
        """End what runs in the terminals."""
        for process in self.terminals.values():
            process.terminate()
        for process in self.terminals.values():
            process.wait(60)
        for file in self.files:
            file.close()


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """A reader who begins."""
    directory = tmp_path.resolve() / "tutorial"
    (directory / "shop").mkdir(parents=True)
    (directory / "shop" / "__init__.py").touch()
    reader = Reader(directory)
    try:
        yield reader
    finally:
        reader.close()


def test_every_command_prints_what_the_tutorial_says(reader: Reader) -> None:
    reader.install()
    for language, terminal, text in BLOCKS:
        reader.do(language, terminal, text)
    page = urllib.request.Request(f"http://127.0.0.1:{reader.port}/", headers={"Accept": "text/html"})
    with urllib.request.urlopen(page, timeout=30) as answer:
        assert answer.headers["Content-Type"].startswith("text/html")


def test_reader_notices_an_output_that_differs(reader: Reader) -> None:
    said = "worker …ef0091be on laptop (pid 40271): 3 s of 2\n…ef0091be again\n"
    host = socket.gethostname()
    assert not reader.matches(said, f"worker …aaaaaaaa on {host} (pid 7): 3 s of 3\n…aaaaaaaa again\n")
    assert not reader.matches(said, f"worker …aaaaaaaa on {host} (pid 7): 3 s of 2\n…bbbbbbbb again\n")
    assert reader.matches(said, f"worker …aaaaaaaa on {host} (pid 7): 12.5 ms of 2\n…aaaaaaaa again\n")
    assert not reader.matches("pid 40271\n", "pid 8\n")
    assert reader.matches("pid 40271\n", "pid 7\n")
    assert reader.own("kill -9 40271") == "kill -9 7"


def test_tutorial_names_an_extra_and_the_python_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    oldest = project["requires-python"].removeprefix(">=")
    assert f"Python {oldest} or newer" in TEXT
    extras = re.findall(r"pip install '\.\./journeyman\[(\w+)\]'", TEXT)
    assert extras
    assert set(extras) <= set(project["optional-dependencies"])
