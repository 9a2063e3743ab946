"""Test cursors: each identifies the event just before it, so that a log with another history is detected."""

from ..cursor import Cursor
from ..divergence import marked, refuse_diverged
from ..errors import JournalDiverged
from ..fingerprint import fingerprint_of
from ..log import Log
from .suite import Suite, drafts, history, numbers, received, refused


async def come_to_the_end(log: Log, count: int) -> Cursor:
    """Read all `count` events of the log and return the reader's cursor, after a round trip through text."""
    tail = await log.tail((await log.bounds()).first)
    try:
        await received(tail, count)
        return Cursor.parse(str(await marked(log, tail.cursor)))
    finally:
        await tail.aclose()


class CursorsConformance(Suite):
    """How a log recognises its own cursors and refuses those of another history."""

    def test_cursor_knows_the_event_behind_it(self) -> None:
        async def test() -> None:
            async with self.opened() as log:
                for key in "abcdef":
                    await log.append(drafts("number.counted", 5, key))
                cursor = await come_to_the_end(log, 30)
                last = {event.partition: event for event in await history(log)}
                assert {partition: mark.fingerprint for partition, mark in cursor.marks.items()} == {
                    partition: fingerprint_of(event.writer, event.seq) for partition, event in last.items()
                }
                assert all(cursor[partition] > event.offset for partition, event in last.items())

        self.drive(test())

    def test_cursor_kept_as_text_resumes_exactly(self) -> None:
        async def test() -> None:
            async with self.opened() as log:
                await log.append(drafts("number.counted", 5, "one"))
                cursor = await come_to_the_end(log, 5)
                await log.append(drafts("number.counted", 3, "one"))
                await refuse_diverged(log, cursor)
                tail = await log.tail(cursor)
                assert numbers(await received(tail, 3)) == [0, 1, 2]
                await tail.aclose()

        self.drive(test())

    def test_cursor_fits_the_log_after_it_was_reopened(self) -> None:
        async def test() -> None:
            url = self.url(self.partitions)
            async with self.opened(url) as log:
                await log.append(drafts("number.counted", 5, "one"))
                cursor = await come_to_the_end(log, 5)
                async with self.opened(url) as other:
                    await refuse_diverged(other, cursor)
                    await other.append(drafts("number.counted", 5, "one"))
                    await refuse_diverged(other, cursor)

        self.drive(test())

    def test_cursor_behind_removed_events_is_not_another_history(self) -> None:
        async def test() -> None:
            async with self.opened(self.url(1)) as log:
                await log.append(drafts("number.counted", 10))
                cursor = await come_to_the_end(log, 10)
                await log.append(drafts("number.counted", 10))
                await self.trim(log, {0: (await log.bounds()).end[0] - 2})
                await refuse_diverged(log, cursor)

        self.drive(test())

    def test_cursor_of_another_history_is_refused(self) -> None:
        async def test() -> None:
            async with self.opened(self.url(1)) as log, self.opened(self.url(1)) as other:
                await log.append(drafts("number.counted", 10))
                cursor = await come_to_the_end(log, 10)
                await other.append(drafts("number.counted", 4))
                with refused(JournalDiverged) as refusal:  # behind the end
                    await refuse_diverged(other, cursor)
                assert refusal.error.end_offset == (await other.bounds()).end[0]
                await other.append(drafts("number.counted", 20))
                with refused(JournalDiverged) as refusal:  # beside another event
                    await refuse_diverged(other, cursor)
                assert (refusal.error.partition, refusal.error.asked_offset) == (0, cursor[0])
                await refuse_diverged(log, cursor)

        self.drive(test())
