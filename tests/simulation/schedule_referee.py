"""The referee of schedules: it keeps books of its own, straight from the rules in words."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson
from journeyman.tasks.state import names
from journeyman.tasks.state.routing import routing_key
from journeyman.tasks.state.schedules import Misfire
from journeyman.tasks.state.ticks import tick_text

from .stage import EPOCH, Judge

if TYPE_CHECKING:
    from .schedule_world import ScheduleWorld

EVERY_MS: Final = 10_000
SKEW_SECONDS: Final = 3.0


@dataclass
class Book:
    """What the referee knows of a schedule; the windows are of pauses, in ms: none of their ticks may be missing."""

    misfire: Misfire
    overlap: str
    every: int
    first: int
    last: int
    task: str = ""
    fired: list[int] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)
    paused: bool = False
    cleared: bool = False
    left_out: list[tuple[int, int]] = field(default_factory=list)


class ScheduleBooks:
    """The books about schedules, for a referee.

    `skew_seconds` is how wrong the clock of a process may be; `goes_on(task)` says whether the run of a tick has not
    ended.
    """

    def __init__(self, judge: Judge, skew_seconds: float, goes_on: Callable[[str], bool]) -> None:
        self.judge = judge
        self.books: dict[str, Book] = {}
        self.tasks: set[str] = set()
        self._skew_seconds, self._goes_on = skew_seconds, goes_on
        self._expected: dict[int, str] = {}  # of each partition the id of the submission that must come next

    def submitted(self, task: str, partition: int) -> None:
        """A task is submitted: that of a tick comes right behind it, and once."""
        expected = self._expected.pop(partition, None)
        self.judge.check(expected in (None, task), f"{task} comes where {expected} had to")
        if expected is None:
            self.judge.check(routing_key(task) not in self.books, f"{task} comes without its tick")
            return
        self.judge.check(task not in self.tasks, f"{task} is submitted twice")
        self.tasks.add(task)

    def complete(self, partition: int) -> None:
        """Check that no task of a tick is owed in the partition."""
        self.judge.check(partition not in self._expected, f"{self._expected} is missing behind its tick")

    def landed(self, name: str, context: dict[str, Any], partition: int) -> None:
        """An event about a schedule has become part of the log."""
        check = self.judge.check
        self.complete(partition)
        book = self.books.get(context["schedule"])
        if name == names.SCHEDULE_CREATED:
            check(book is None, "a schedule is created twice")
            policy, every, first = context["policy"], context["trigger"]["every_ms"], context["first"]
            misfire, overlap = policy.get("misfire", "run_once"), policy.get("overlap", "queue")
            self.books[context["schedule"]] = Book(misfire, overlap, every, first, first - every)
            return
        assert book is not None, "no event comes before the creation"
        check(not book.cleared, f"{name} comes for {context['schedule']}, which was cleared")
        if name in (names.SCHEDULE_FIRED, names.SCHEDULE_SKIPPED):
            self._settled(name, book, context, partition)
        elif name == names.SCHEDULE_PAUSED:
            check(not book.paused, "a paused schedule is paused")
            book.paused = True
        elif name == names.SCHEDULE_RESUMED:
            check(book.paused, "a schedule that is not paused is resumed")
            book.paused = False
            book.left_out.append((book.last, context["since"]))
        elif name == names.SCHEDULE_CLEARED:
            book.cleared = True

    def _settled(self, name: str, book: Book, context: dict[str, Any], partition: int) -> None:
        check, tick, schedule = self.judge.check, context["tick"], context["schedule"]
        check(tick > book.last, f"{schedule}: the tick {tick} comes behind {book.last}")
        check((tick - book.first) % book.every == 0, f"{schedule}: {tick} is none of its ticks")
        check(not book.paused, f"{schedule} ticks although it is paused")
        early = tick / 1_000 - EPOCH - self.judge.world.now
        check(early <= self._skew_seconds, f"{schedule} ticks {early:.1f} s early")
        if book.left_out:
            check(tick >= book.left_out[-1][1], f"{schedule}: the tick {tick} of a pause comes after all")
        book.last = tick
        if name == names.SCHEDULE_SKIPPED:
            check(book.overlap == "skip" and book.fired, f"{schedule} skips a tick")
            book.skipped.append(tick)
            return
        check(context["task"] == f"{schedule}@{tick_text(tick)}", f"{context['task']} is no id of {tick}")
        overlaps = book.overlap == "skip" and bool(book.fired) and self._goes_on(book.task)
        check(not overlaps, f"{schedule} ticks while its last run goes on")
        book.fired.append(tick)
        book.task = context["task"]
        self._expected[partition] = context["task"]

    def missed(self, book: Book) -> list[int]:
        """The ticks between its first and its last that were not fired, those of pauses apart."""
        settled = {*book.fired, *book.skipped}
        ticks = range(book.first, book.last + 1, book.every)
        return [
            tick
            for tick in ticks
            if tick not in settled and not any(since < tick < until for since, until in book.left_out)
        ]

    def close(self) -> None:
        """No event comes any more: no task is owed, and where each tick has to run, none is missing."""
        self.judge.check(not self._expected, "the last tick has no task")
        for schedule, book in self.books.items():
            if book.misfire == "run_all" and book.overlap == "queue" and not book.paused:
                missed = self.missed(book)
                self.judge.check(not missed, f"{schedule} has not run at {missed}")


class ScheduleReferee(Judge):
    """Checks each record in the moment in which it lands, and the end. No worker runs what is submitted."""

    world: "ScheduleWorld"

    def __init__(self, world: "ScheduleWorld") -> None:
        super().__init__(world)
        self.ticks = ScheduleBooks(self, SKEW_SECONDS, lambda task: True)

    def landed(self, partition: int, offset: int, row: bytes) -> None:
        """A record has become part of the log."""
        said = orjson.loads(row)
        name, context = said["name"], said["context"]
        if name == names.SUBMITTED:
            self.ticks.submitted(context["task"], partition)
        else:
            self.ticks.landed(name, context, partition)

    def close(self) -> None:
        """A time without faults is over."""
        self.ticks.close()
        now = int((EPOCH + self.world.now) * 1_000)
        for schedule, book in self.ticks.books.items():
            if book.paused:  # by an operator whose append was long under way
                continue
            behind = now - book.last
            self.check(behind < 2 * EVERY_MS, f"{schedule} has not ticked for {behind:,} ms, and nothing is wrong")
            peace = int((EPOCH + self.world.peace_at) * 1_000) + EVERY_MS
            quiet = [tick for tick in self.ticks.missed(book) if tick > peace]
            self.check(book.overlap == "skip" or not quiet, f"{schedule} has missed {quiet} though nothing was wrong")
