"""Find dead letters by filters, and list the attempts of a task with their outcomes."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from copy import copy
from typing import Any, Final, NamedTuple

import msgspec

from ...journal.async_journal import AsyncJournal
from ...journal.event_decoding import readable
from ...journal.log import Log
from ..index.records import rows_at
from ..labels import Labels
from ..limits import DEAD_LETTERS_STEP_TASKS
from ..serializers import shown
from ..state import names
from ..state.state import TaskState
from ..state.transitions import State
from ..state.view import Verdict
from .as_of import ViewAsOf
from .history import Step, TaskHistory
from .stored_labels import NO_LABELS, labels_in
from .wording import call, error_in

# The error of an attempt that ended without an exception, as its worker fell silent.
LOST: Final = "worker lost: it was silent for the whole lease, as if the task had killed it"


class DeadLetterFilter(NamedTuple):
    """A filter for dead letters: every part that is not None must match.

    `exception` is a part of the error as it is shown, ignoring case; `since` and `until` bound the time of the failure,
    in seconds since the epoch, both included.
    """

    task: str | None = None
    queue: str | None = None
    exception: str | None = None
    since: float | None = None
    until: float | None = None
    tag: str | None = None

    def holds(self, letter: TaskState) -> bool:
        """Return whether the dead letter matches all parts but `exception` and `tag`, which are not in its state."""
        return (
            (self.task is None or letter.name == self.task)
            and (self.queue is None or letter.queue == self.queue)
            and (self.since is None or letter.changed_at >= self.since)
            and (self.until is None or letter.changed_at <= self.until)
        )


class DeadLetter(NamedTuple):
    """A dead letter, the error of its last attempt in one line, and its labels, unless retention has removed them."""

    task: TaskState
    error: str
    labels: Labels = NO_LABELS


def place_of(letter: TaskState) -> tuple[float, str]:
    """Return the place of a dead letter in the list, by the time of its failure and its id; the list descends by it."""
    return letter.changed_at, letter.id


async def dead_letters(
    journal: AsyncJournal,
    view_as_of: ViewAsOf,
    wanted: DeadLetterFilter,
    *,
    after: tuple[float, str] | None = None,
    limit: int | None = None,
) -> list[DeadLetter]:
    """Return the wanted dead letters of a view, the newest first: at most `limit`, those after the place `after`.

    A view may follow the log meanwhile: a letter that is requeued or purged before it is read is left out.
    """
    letters = [letter for letter in view_as_of.view.dead.values() if wanted.holds(letter)]
    letters.sort(key=place_of, reverse=True)
    if after is not None:
        letters = letters[bisect_left(letters, True, key=lambda letter: place_of(letter) < after) :]
    log = await journal.open()
    found: list[DeadLetter] = []
    step = DEAD_LETTERS_STEP_TASKS if limit is None else min(limit, DEAD_LETTERS_STEP_TASKS)
    for begin in range(0, len(letters), step):
        dead = [_kept(each) for each in letters[begin : begin + step] if each.state is State.FAILED]
        found += [each for each in await with_errors(log, dead) if _matches(each, wanted)]
        if limit is not None and len(found) >= limit:
            break
    return found[:limit]


def _kept(letter: TaskState) -> TaskState:
    """Return a copy that does not change with the view."""
    kept = copy(letter)
    kept.run = copy(letter.run)
    return kept


def _matches(letter: DeadLetter, wanted: DeadLetterFilter) -> bool:
    """Return whether a dead letter matches the parts of the filter that are not in its state."""
    if wanted.tag is not None and wanted.tag not in letter.labels.tags:
        return False
    return wanted.exception is None or wanted.exception.casefold() in letter.error.casefold()


async def with_errors(log: Log, letters: Iterable[TaskState]) -> list[DeadLetter]:
    """Read the errors and the labels of dead letters; they keep their order."""
    letters, places = list(letters), dict[int, list[int]]()
    for letter in letters:
        places.setdefault(letter.partition, []).extend(sorted({letter.submitted, letter.changed}))
    rows = {partition: await rows_at(log, partition, offsets) for partition, offsets in places.items()}
    found: list[DeadLetter] = []
    for letter in letters:
        there = rows[letter.partition]
        labels = labels_in(there.get(letter.submitted), letter)
        found.append(DeadLetter(letter, _error(there.get(letter.changed), letter), labels))
    return found


def _error(row: bytes | None, letter: TaskState) -> str:
    if row is None:
        return ""
    events, _ = readable([row], letter.partition, [letter.changed], contexts=True)
    if not events:
        return ""
    return LOST if events[0].name == names.EXPIRED else error_in(events[0].context)


class AttemptRun(msgspec.Struct, frozen=True):
    """One attempt: its worker, its beginning, and how it ended; times are seconds since the epoch.

    `how` is the name of the event that ended it; `exception` its exception: name, text and traceback. These are empty
    or None while it runs.
    """

    number: int
    worker: str
    host: str
    began: float
    ended: float | None = None
    how: str = ""
    ran_ms: float | None = None
    error: str = ""
    exception: dict[str, Any] | None = None


def runs(history: TaskHistory) -> list[AttemptRun]:
    """Return the attempts of a task, in order: each accepted claim with the event that ended it."""
    found: list[AttemptRun] = []
    for step in _accepted(history):
        name, event = step.event.name, step.event
        if name == names.CLAIMED:
            host = history.hosts.get(step.worker, "")
            found.append(AttemptRun(step.attempts, step.worker, host, event.timestamp))
        elif found and not found[-1].how and name in _ENDS:
            found[-1] = _ended(found[-1], step)
    return found


def _accepted(history: TaskHistory) -> Iterator[Step]:
    return (step for step in history.steps if step.verdict is Verdict.ACCEPTED)


_ENDS: Final = frozenset((*names.OUTCOMES, *names.BY_HAND, names.REVOKED, names.EXPIRED, names.LEFT))


def _ended(run: AttemptRun, step: Step) -> AttemptRun:
    context = step.event.context
    ran, exception = context.get("ran_ms"), context.get("exception")
    return msgspec.structs.replace(
        run,
        ended=step.event.timestamp,
        how=step.event.name,
        ran_ms=ran if isinstance(ran, int | float) else None,
        error=LOST if step.event.name == names.EXPIRED else error_in(context),
        exception=exception if isinstance(exception, dict) else None,
    )


class Arguments(NamedTuple):
    """The arguments with which a task was submitted, as they stand in the journal: nothing is decoded to show them.

    `serializer` is the name of the one that has written them; empty for JSON. If it writes no JSON, `encoded` is what
    it has written.
    """

    args: list[Any]
    kwargs: dict[str, Any]
    serializer: str = ""
    encoded: str = ""

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return bool(self.args or self.kwargs or self.encoded)

    def call(self, task_name: str, chars_max: int = 200) -> str:
        """Return the task's call as Python would have it, shortened; of what is no JSON, only the size."""
        if self.encoded:
            return f"{task_name}({shown(self.serializer, self.encoded)})"
        return call(task_name, self.args, self.kwargs, chars_max)

    def fields(self) -> dict[str, Any]:
        """Return them for JSON output; `serializer` and `encoded` only where there are such."""
        further = {"serializer": self.serializer, "encoded": self.encoded}
        return {"args": self.args, "kwargs": self.kwargs} | {name: value for name, value in further.items() if value}


def labels(history: TaskHistory) -> Labels:
    """Return the labels of a task; none if retention has removed its submission."""
    submitted = [step.event for step in _accepted(history) if step.event.name == names.SUBMITTED]
    return Labels.of(submitted[-1].context) if submitted else NO_LABELS


def arguments(history: TaskHistory) -> Arguments | None:
    """Return the arguments of a task; None if retention has removed its submission, or it cannot be read."""
    submitted = [step.event for step in _accepted(history) if step.event.name == names.SUBMITTED]
    if not submitted:
        return None
    try:
        context = submitted[-1].context
        said: list[Any] = [context.get(name) or empty for name, empty in (("args", []), ("kwargs", {}))]
        return msgspec.convert([*said, context.get("serializer", ""), context.get("encoded", "")], Arguments)
    except msgspec.ValidationError:
        return None
