"""What each test reaches: which lines of the mutated modules it runs, how long it takes, if it starts processes."""

import sys
import threading
import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from types import FrameType
from typing import Any, Final, NamedTuple

import pytest

_Line = tuple[str, int]
_STARTS: Final = frozenset({"subprocess.Popen", "os.fork", "os.posix_spawn", "os.exec"})


class Reach(NamedTuple):
    """What one test reaches. The processes that it starts are not traced, so they may reach any line."""

    lines: frozenset[_Line]
    seconds: float
    starts_processes: bool


class Recorder:
    """Traces tests in this process, one by one, in the main thread and in all threads that start meanwhile."""

    def __init__(self, files: AbstractSet[str]) -> None:
        self._files: Final = files
        self._lines = set[_Line]()
        self._started = False

    def record(self, items: list[pytest.Item]) -> dict[str, Reach]:
        """Run the tests; return what each has reached, by its node id."""
        found = {}
        sys.addaudithook(self._noticed)
        threading.settrace(self._entered)
        sys.settrace(self._entered)
        for item, following in zip(items, [*items[1:], None], strict=True):
            self._lines, self._started = set(), False
            begun = time.monotonic()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            found[item.nodeid] = Reach(frozenset(self._lines), time.monotonic() - begun, self._started)
            sys.settrace(self._entered)
        sys.settrace(None)
        return found

    def _noticed(self, event: str, _: tuple[Any, ...]) -> None:
        self._started = self._started or event in _STARTS

    def _entered(self, frame: FrameType, event: str, argument: object) -> Callable[..., Any] | None:
        return self._ran if frame.f_code.co_filename in self._files else None

    def _ran(self, frame: FrameType, event: str, argument: object) -> Callable[..., Any]:
        if event == "line":
            self._lines.add((frame.f_code.co_filename, frame.f_lineno))
        return self._ran
