"""Commands in processes of their own, each a fork of one process that has imported the command line.

A new interpreter spends most of its time on imports. A fork has its own memory, streams, directory and environment, and
ends as a process does; what Python decides as it starts (encodings, flags) is that of the process it is forked from.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

# Freezing what is there spares a fork from copying it: collecting garbage writes into every object.
PROGRAM: Final = """
import gc, json, os, sys, tempfile
from contextlib import suppress
from journeyman.cli.app import application, main

application()
with suppress(ImportError):  # what newer releases of typer import for the first command
    import typer._adapters
gc.collect()
gc.freeze()
for line in sys.stdin:
    arguments, directory, environment = json.loads(line)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if not child:
            os.chdir(directory)
            os.environ.clear()
            os.environ.update(environment)
            for stream, file in enumerate((open(os.devnull), out, err)):
                os.dup2(file.fileno(), stream)
            sys.argv[1:] = [os.fsdecode(each.encode("latin-1")) for each in arguments]
            sys.exit(main())
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said = []
        for file in (out, err):
            file.seek(0)
            said.append(file.read().decode("latin-1"))
    print(json.dumps([status, *said]), flush=True)
"""


class Forker:
    """The process from which commands are forked; one command at a time."""

    def __init__(self, process: "subprocess.Popen[str]", environment: Mapping[str, str]) -> None:
        self._process = process
        self._environment = environment

    def run(
        self, *arguments: str | bytes, directory: Path, environment: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[bytes]":
        """Run the command line in that directory to its end; without an environment in that of the process."""
        words = [os.fsencode(each).decode("latin-1") for each in arguments]
        pipe, answers = self._process.stdin, self._process.stdout
        assert pipe is not None
        assert answers is not None
        pipe.write(json.dumps([words, str(directory), dict(environment or self._environment)]) + "\n")
        pipe.flush()
        answer = answers.readline()
        assert answer, f"the process of the forks has ended with {self._process.wait()}"
        status, *said = json.loads(answer)
        out, err = (each.encode("latin-1") for each in said)
        return subprocess.CompletedProcess(arguments, status, out, err)


@contextmanager
def forker(become: Sequence[str] = (), environment: Mapping[str, str] = os.environ) -> Iterator[Forker]:
    """Start that process, by way of the command `become`; at the end it is killed with what it still runs."""
    with subprocess.Popen(
        [*become, sys.executable, "-c", PROGRAM],
        cwd="/",
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield Forker(process, environment)
        finally:
            with suppress(ProcessLookupError):  # it has ended, and `run` has said so
                os.killpg(process.pid, signal.SIGKILL)
