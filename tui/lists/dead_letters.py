"""The list of dead letters, the newest first; the errors of those that are seen are read from the journal."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from ...journal.async_journal import AsyncJournal
from ...tasks.inspection.dead_letters import place_of, with_errors
from ...tasks.inspection.wording import age, short_id
from ...tasks.limits import DEAD_LETTERS_STEP_TASKS
from ...tasks.state.state import TaskState
from ..cells import Cell, Column, Listing, Row, Tone, cell
from ..counting import CountingView
from ..limits import CELL_CHARS_MAX, ERRORS_STALE_MIN
from ..question import Question
from .selecting import Words, part_of

COLUMNS: Final = (
    Column("id"),
    Column("task", gives_way=True),
    Column("queue", gives_way=True),
    Column("attempts", right=True),
    Column("failed", right=True),
    Column("error", gives_way=True),
)
_KEYS: Final[tuple[Callable[[TaskState], Any], ...]] = (
    lambda task: task.id,
    lambda task: task.name,
    lambda task: task.queue,
    lambda task: task.attempts,
    lambda task: -task.changed_at,
)
SORTS: Final = len(_KEYS)
# What the selection depends on beside the dead letters: the words, the column and the direction.
_Selected = tuple[int, str, int, bool]


class DeadLetterList:
    """Selects dead letters of one view; keeps the selection until they change, and the errors that were read."""

    def __init__(self, journal: AsyncJournal, state: CountingView) -> None:
        self._journal = journal
        self._state = state
        self._selected: _Selected | None = None
        self._letters: list[TaskState] = []
        self._errors: dict[tuple[str, int], str] = {}

    async def listing(self, asked: Question, now: float) -> Listing:
        """Return the part of the list that is asked for, at `now` in seconds since the epoch."""
        selected = self._state.dead_changes, asked.words, asked.sort, asked.descending
        if selected != self._selected:
            self._letters = await self._select(asked)
            self._selected = selected
        part = part_of(self._letters, asked.first, asked.rows, None, descending=False)
        await self._read_errors(part.values)
        rows = [self._row(task, now) for task in part.values]
        everything = self._state.dead.total
        return Listing(COLUMNS, rows, part.first, part.total, everything, asked.sort, asked.descending)

    async def _select(self, asked: Question) -> list[TaskState]:
        letters = list(self._state.dead.values())
        words = Words(asked.words)
        if words:
            await self._read_errors(letters)
            letters = [each for each in letters if words.fit(each.id, each.name, each.queue, self._error(each))]
        if asked.sort < 0:
            return sorted(letters, key=place_of, reverse=not asked.descending)
        return sorted(letters, key=_KEYS[asked.sort], reverse=asked.descending)

    async def _read_errors(self, letters: Sequence[TaskState]) -> None:
        """Read the errors of these that were not read before; those of tasks that are no dead letters go."""
        if len(self._errors) > 2 * len(self._state.dead) + ERRORS_STALE_MIN:
            known = {(task.id, task.changed) for task in self._state.dead.values()}
            self._errors = {key: error for key, error in self._errors.items() if key in known}
        missing = [task for task in letters if (task.id, task.changed) not in self._errors]
        log = await self._journal.open()
        for begin in range(0, len(missing), DEAD_LETTERS_STEP_TASKS):
            step = missing[begin : begin + DEAD_LETTERS_STEP_TASKS]
            for found in await with_errors(log, step):
                self._errors[found.task.id, found.task.changed] = found.error[:CELL_CHARS_MAX]

    def _error(self, task: TaskState) -> str:
        return self._errors.get((task.id, task.changed), "")

    def _row(self, task: TaskState, now: float) -> Row:
        cells = (
            Cell(short_id(task.id), Tone.STRONG),
            cell(task.name),
            cell(task.queue),
            Cell(f"{task.attempts:,}"),
            Cell(f"{age(now - task.changed_at)} ago"),
            cell(self._error(task), Tone.BAD),
        )
        return Row(task.id, cells, task.id, task.name)
