"""The list of dead letters, the newest first; errors and labels of those that are seen are read from the journal."""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from ...journal.async_journal import AsyncJournal
from ...tasks.inspection.dead_letters import DeadLetter, place_of, with_errors
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
    Column("about", gives_way=True, wide=True),
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


class _Texts(NamedTuple):
    """What is read from the journal of a dead letter: its error, and its summary with its tags."""

    error: str
    labels: str

    @classmethod
    def of(cls, letter: DeadLetter) -> "_Texts":
        return cls(letter.error[:CELL_CHARS_MAX], letter.labels.in_words()[:CELL_CHARS_MAX])


class DeadLetterList:
    """Selects dead letters of one view; keeps the selection until they change, and the texts that were read."""

    def __init__(self, journal: AsyncJournal, state: CountingView) -> None:
        self._journal = journal
        self._state = state
        self._selected: _Selected | None = None
        self._letters: list[TaskState] = []
        self._read: dict[tuple[str, int], _Texts] = {}

    async def listing(self, asked: Question, now: float) -> Listing:
        """Return the part of the list that is asked for, at `now` in seconds since the epoch."""
        selected = self._state.dead_changes, asked.words, asked.sort, asked.descending
        if selected != self._selected:
            self._letters = await self._select(asked)
            self._selected = selected
        part = part_of(self._letters, asked.first, asked.rows, None, descending=False)
        await self._read_texts(part.values)
        rows = [self._row(task, now) for task in part.values]
        everything = self._state.dead.total
        return Listing(COLUMNS, rows, part.first, part.total, everything, asked.sort, asked.descending)

    async def _select(self, asked: Question) -> list[TaskState]:
        letters = list(self._state.dead.values())
        words = Words(asked.words)
        if words:
            await self._read_texts(letters)
            letters = [each for each in letters if words.fit(each.id, each.name, each.queue, *self._texts(each))]
        if asked.sort < 0:
            return sorted(letters, key=place_of, reverse=not asked.descending)
        return sorted(letters, key=_KEYS[asked.sort], reverse=asked.descending)

    async def _read_texts(self, letters: Sequence[TaskState]) -> None:
        """Read the errors and labels of these that were not read before; those of tasks that are no dead letters go."""
        if len(self._read) > 2 * len(self._state.dead) + ERRORS_STALE_MIN:
            known = {(task.id, task.changed) for task in self._state.dead.values()}
            self._read = {key: texts for key, texts in self._read.items() if key in known}
        missing = [task for task in letters if (task.id, task.changed) not in self._read]
        log = await self._journal.open()
        for begin in range(0, len(missing), DEAD_LETTERS_STEP_TASKS):
            step = missing[begin : begin + DEAD_LETTERS_STEP_TASKS]
            for found in await with_errors(log, step):
                self._read[found.task.id, found.task.changed] = _Texts.of(found)

    def _texts(self, task: TaskState) -> "_Texts":
        return self._read.get((task.id, task.changed), _Texts("", ""))

    def _row(self, task: TaskState, now: float) -> Row:
        texts = self._texts(task)
        cells = (
            Cell(short_id(task.id), Tone.STRONG),
            cell(task.name),
            cell(task.queue),
            Cell(f"{task.attempts:,}"),
            Cell(f"{age(now - task.changed_at)} ago"),
            cell(texts.error, Tone.BAD),
            cell(texts.labels, Tone.DIM),
        )
        return Row(task.id, cells, task.id, task.name)
