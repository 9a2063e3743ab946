"""The content of the index: the positions of each task's events, and of the beginning and end of sessions. Pure.

A task has one row: the offsets of its submission, first claim and end. Its further events have rows of their own. A
session has one row: the offsets of its beginning, its last event, and the accepted event that ended it.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from ..state import names

# The kinds of the events about tasks, as the index stores them; 0 is any other event under a task's key.
FOREIGN: Final = 0
KINDS: Final = {name: number for number, name in enumerate(names.TASK_EVENTS, start=1)}
SUBMITTED: Final = KINDS[names.SUBMITTED]
CLAIMED: Final = KINDS[names.CLAIMED]
PROGRESSED: Final = KINDS[names.PROGRESSED]
RESULT_STORED: Final = KINDS[names.RESULT_STORED]
SUCCEEDED: Final = KINDS[names.SUCCEEDED]
FAILED: Final = KINDS[names.FAILED]
ENDS: Final = frozenset({SUCCEEDED, FAILED})

NOWHERE: Final = -1


class IndexEntry(NamedTuple):
    """One event of a task: its place, and the number of its kind in `KINDS`."""

    partition: int
    offset: int
    kind: int


class TaskRow(NamedTuple):
    """The offsets of a task's submission, first claim and end; `NOWHERE` if there is none."""

    partition: int
    submitted: int
    claimed: int = NOWHERE
    ended: int = NOWHERE

    def entries(self) -> list[IndexEntry]:
        """Return its events. The kind of its end is only in the record: here it is always `SUCCEEDED`."""
        places = ((self.submitted, SUBMITTED), (self.claimed, CLAIMED), (self.ended, SUCCEEDED))
        return [IndexEntry(self.partition, offset, kind) for offset, kind in places if offset != NOWHERE]


def merge(row: TaskRow | None, found: Iterable[IndexEntry]) -> tuple[TaskRow | None, list[IndexEntry]]:
    """Return the task's row with these events added, and the events that need rows of their own.

    The result depends on the order of the events alone, not on their division into batches.
    """
    more: list[IndexEntry] = []
    for entry in found:
        partition, offset, kind = entry
        if row is None and kind == SUBMITTED:
            row = TaskRow(partition, offset)
        elif row is None or partition != row.partition:
            more.append(entry)
        elif kind == CLAIMED and row.claimed == NOWHERE:
            row = row._replace(claimed=offset)
        elif kind in ENDS and row.ended == NOWHERE:
            row = row._replace(ended=offset)
        else:
            more.append(entry)
    return row, more


class SessionRow(NamedTuple):
    """One session of a worker in a partition.

    `joined` is `NOWHERE` if the session is older than the history that the index has read. `last` is the session's last
    event, a refused one included; `ended` the accepted event that ended it, `NOWHERE` while it lives.
    """

    worker: str
    partition: int
    joined: int
    last: int
    ended: int = NOWHERE

    def lives_at(self, offset: int) -> bool:
        """Whether an event of the worker at `offset` is one of this session."""
        return self.joined < offset and (self.ended == NOWHERE or self.ended > offset)


class SessionMark(NamedTuple):
    """An event that begins or ends a session, or claims to.

    `sign` is the worker's last other event of the same batch before it; `last` is what an expiry says was its last.
    """

    name: str
    offset: int
    sign: int
    last: int


class WorkerEvents(NamedTuple):
    """The events of one worker in a batch: the marks, in order, and its last sign of life after them."""

    marks: Sequence[SessionMark]
    sign: int

    def since(self, offset: int) -> "WorkerEvents":
        """Return those from `offset` on."""
        marks = [
            mark if mark.sign >= offset else mark._replace(sign=NOWHERE) for mark in self.marks if mark.offset >= offset
        ]
        return WorkerEvents(marks, self.sign if self.sign >= offset else NOWHERE)


def judge(
    worker: str, partition: int, rows: Sequence[SessionRow], found: WorkerEvents, *, infers: bool
) -> list[SessionRow]:
    """Return the worker's sessions with these events added, by the rules of the fold.

    With `infers` the index has not read the log from its first event: a worker with events but no known session then
    has an older one. It has not ended, since a worker reads the log before it claims, and would have read its own end.
    """
    sessions = list(rows)
    for name, offset, sign, last in found.marks:
        _take_sign(worker, partition, sessions, sign, infers=infers)
        live = bool(sessions) and sessions[-1].ended == NOWHERE
        if name == names.JOINED:
            if live:
                sessions[-1] = sessions[-1]._replace(last=offset)
            else:
                sessions.append(SessionRow(worker, partition, offset, offset))
        elif live and (name == names.LEFT or sessions[-1].last == last):
            sessions[-1] = sessions[-1]._replace(ended=offset)
        elif infers and not sessions:
            sessions.append(SessionRow(worker, partition, NOWHERE, offset, offset))
    _take_sign(worker, partition, sessions, found.sign, infers=infers)
    return sessions


def _take_sign(worker: str, partition: int, sessions: list[SessionRow], sign: int, *, infers: bool) -> None:
    if sign == NOWHERE:
        return
    if sessions and sessions[-1].ended == NOWHERE:
        sessions[-1] = sessions[-1]._replace(last=sign)
    elif infers and not sessions:
        sessions.append(SessionRow(worker, partition, NOWHERE, sign))
