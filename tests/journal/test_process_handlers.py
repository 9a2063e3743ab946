"""The registries of handlers for forks and for the end of the program: their order, and a handler that fails."""

import subprocess
import sys

FORK = """
import logging, os
from journeyman.journal.runtime.forks import at_fork

logging.disable()
seen = []

def failing():
    raise KeyboardInterrupt

at_fork(before=lambda: seen.append("before 1"), after_in_parent=lambda: seen.append("parent 1"),
        after_in_child=lambda: seen.append("child 1"))
at_fork(before=failing, after_in_parent=failing, after_in_child=failing)
at_fork(before=lambda: seen.append("before 2"), after_in_parent=lambda: seen.append("parent 2"),
        after_in_child=lambda: seen.append("child 2"))
if not os.fork():
    print(seen, flush=True)
    os._exit(0)
os.wait()
print(seen)
"""

EXIT = """
from journeyman.journal.runtime.exits import at_exit

def failing(error):
    raise error

at_exit(lambda: print("first"))
at_exit(lambda: failing(KeyboardInterrupt()))
at_exit(lambda: failing(ValueError("told")))
at_exit(lambda: print("last"))
"""


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)


def test_failing_fork_handler_keeps_no_other_from_running() -> None:
    child, parent = run(FORK).stdout.splitlines()
    assert child == "['before 2', 'before 1', 'child 1', 'child 2']"
    assert parent == "['before 2', 'before 1', 'parent 1', 'parent 2']"


def test_failing_exit_handler_keeps_no_other_from_running() -> None:
    done = run(EXIT)
    assert done.stdout.splitlines() == ["last", "first"]
    assert "ValueError: told" in done.stderr
