"""Bugs in the worker's loop, planted into its own text."""

import inspect
import textwrap
from collections.abc import Callable
from typing import Any, Final

from journeyman.workers import WorkerLoop
from journeyman.workers.loop import session_watch
from journeyman.workers.loop.reader import JournalReader
from journeyman.workers.scheduling import decide
from pytest import MonkeyPatch  # noqa: PT013 - a helper, not a test

Plant = Callable[[MonkeyPatch], None]


def rewritten(owner: Any, name: str, old: str, new: str) -> Plant:
    """The function `owner.name` with one stretch of its text replaced, which must stand in it once."""

    def plant(patch: MonkeyPatch) -> None:
        real = getattr(owner, name)
        text = textwrap.dedent(inspect.getsource(real))
        assert text.count(old) == 1, f"{name} has changed: plant the bug anew"
        code = compile(text.replace(old, new), f"<{name} with a bug>", "exec")
        made: dict[str, Any] = {}
        exec(code, real.__globals__, made)
        patch.setattr(owner, name, made[name])

    return plant


def in_decider(name: str, old: str, new: str) -> Plant:
    """The decider of that name with one stretch of its text replaced."""

    def plant(patch: MonkeyPatch) -> None:
        real = getattr(decide, name)
        rewritten(decide, name, old, new)(patch)
        wrong = getattr(decide, name)
        patch.setattr(decide, "DECIDERS", tuple(wrong if each is real else each for each in decide.DECIDERS))

    return plant


LOOP_MUTATIONS: Final[dict[str, Plant]] = {}
_ENDED: Final = "await self._outcome_entries(time.monotonic())"
_BUGS: Final[tuple[tuple[str, Any, str, str, str], ...]] = (
    (
        "a page that came as the wait for it ended is dropped",
        JournalReader,
        "stop_waiting",
        "if page is not None",
        "if False",
    ),
    ("an idle worker observes no sessions", WorkerLoop, "_pause", "monotonic + WATCH_INTERVAL_SECONDS", "1e9"),
    ("what has ended as the drain ends is not written", WorkerLoop, "_leave", _ENDED, "[]"),
    ("idle sessions of other hosts are judged here", session_watch, "departed", "if session.machine else", "or"),
    ("events before our own are skipped", JournalReader, "read_before", "self._applied[partition] < first", "False"),
    ("a drain does not wait for what runs", WorkerLoop, "_drained", "or time.monotonic() >=", "or True or"),
)
for _what, _owner, _name, _old, _new in _BUGS:
    LOOP_MUTATIONS[_what] = rewritten(_owner, _name, _old, _new)
LOOP_MUTATIONS["a lane does not ask whether another has a suspect"] = in_decider(
    "claims", "has_suspect = not ready.lets_suspect_in", "has_suspect = False"
)
