"""A shop with tasks, in a directory of its own, and the real command line to run there."""

import io
import logging
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from journeyman.cli import main
from support.forks import Forker, forker

TIMEOUT_SECONDS = 60.0
TASKS = """
    import journeyman as jm

    broker = jm.Broker()


    @jm.task(broker)
    def add(a, b):
        return a + b


    @jm.task(broker, max_retries=1, backoff=jm.ConstantBackoff(1, floor=0))
    def paint(colour):
        raise ValueError(f"no such colour: {colour}")


    @jm.task(broker)
    def read(path):  # blocks until a process writes to the pipe at `path`
        with open(path) as pipe:
            return pipe.read()
"""

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A directory with the package `shop`, whose module `tasks` has three tasks."""
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "tasks.py").write_text(textwrap.dedent(TASKS))
    return tmp_path


@pytest.fixture
def url(shop: Path) -> str:
    """The shop's journal, by an absolute URL."""
    return f"sqlite:///{shop / 'shop.db'}"


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "JOURNEYMAN_JOURNAL"}


@pytest.fixture
def run(shop: Path) -> Run:
    """Run the command line in the shop to its end."""

    def call(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "journeyman", *arguments],
            cwd=shop,
            env=_environment() | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )

    return call


@pytest.fixture(scope="package")
def forks() -> Iterator[Forker]:
    """A process that has imported the command line."""
    with forker() as found:
        yield found


@pytest.fixture
def forked(forks: Forker, shop: Path) -> Run:
    """Run the command line in the shop, in a fork: as `run` does, where the start of the interpreter is not tested."""

    def run_forked(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        done = forks.run(*arguments, directory=shop, environment=_environment() | environment)
        return subprocess.CompletedProcess(arguments, done.returncode, done.stdout.decode(), done.stderr.decode())

    return run_forked


@pytest.fixture
def call(shop: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Run the command line in this process, in the shop: as `run` does, and without the cost of a process."""
    monkeypatch.chdir(shop)
    monkeypatch.delenv("JOURNEYMAN_JOURNAL", raising=False)

    def run_here(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
        with monkeypatch.context() as patch, Path(os.devnull).open() as nothing:
            for name, value in environment.items():
                patch.setenv(name, value)
            for name, stream in (("stdin", nothing), ("stdout", out), ("stderr", err)):
                patch.setattr(sys, name, stream)
            patch.setattr(sys, "path", [*sys.path])  # a command adds the directory of the shop to it
            known = set(sys.modules)
            status = main(arguments)
            for name in [each for each in sys.modules if each.partition(".")[0] == "shop" and each not in known]:
                del sys.modules[name]
        said = [stream.buffer.getvalue().decode() for stream in (out, err)]
        return subprocess.CompletedProcess(arguments, status, *said)

    yield run_here
    logging.captureWarnings(False)


@pytest.fixture
def start(shop: Path) -> Iterator[Start]:
    """Start the command line in the shop; whatever still runs at the end of the test is killed."""
    with ExitStack() as stack:

        def call(*arguments: str, stdout: int = subprocess.PIPE, **environment: str) -> "subprocess.Popen[str]":
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "journeyman", *arguments],
                    cwd=shop,
                    env=_environment() | environment,
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            stack.callback(process.kill)
            return process

        yield call
