"""Test conditional appends: refused as a whole if an event follows the position that they expect."""

import asyncio
import random
from collections.abc import Sequence

from ..cursor import Position
from ..errors import EventConflict, InvalidEvent, JournalDiverged
from ..event import Draft, Event, draft
from ..limits import CONDITION_LOCKED_EVENTS, PAGE_EVENTS
from ..log import Log
from .suite import PATIENCE_SECONDS, Suite, drafts, events_of, history, numbers, refused, same_history


def conditional(name: str, key: str, expected: int, number: int = 0) -> Draft:
    """Return a draft that expects no event of its key after that offset."""
    made = draft(name, {"number": number}, key)
    made.expected = expected
    return made


def alone(name: str, expected: int, key: str | None = None) -> Draft:
    """Return a draft that expects no event at all after that offset of its partition."""
    made = draft(name, {"number": 0}, key)
    made.expected, made.whole_partition = expected, True
    return made


class ConditionsConformance(Suite):
    """The behaviour of an append with an expected position."""

    def test_conditional_append_lands_if_no_event_has_come_since(self) -> None:
        async def test() -> None:
            async with self.opened() as log:
                (first,) = await log.append([conditional("account.opened", "ada", -1)])
                await log.append(drafts("noise.made", 3, "bob"))
                (second,) = await log.append([conditional("money.paid", "ada", first.offset)])
                (third,) = await log.append([conditional("money.paid", "ada", second.offset)])
                of_key = [event for event in await history(log) if event.key == "ada"]
                assert same_history(of_key, [first, second, third])

        self.drive(test())

    def test_conflict_names_the_event_and_nothing_lands(self) -> None:
        async def test() -> None:
            async with self.opened() as log:
                (first,) = await log.append(drafts("account.opened", 1, "ada"))
                (second,) = await log.append(drafts("money.paid", 1, "ada"))
                before = await history(log)
                with refused(EventConflict) as refusal:
                    await log.append([conditional("money.drawn", "ada", first.offset)])
                error = refusal.error
                assert (error.position, error.expected, error.key) == (second.position, first.offset, "ada")
                with refused(EventConflict) as refusal:
                    await log.append([conditional("account.opened", "ada", -1)])
                assert refusal.error.position in (first.position, second.position)
                assert same_history(await history(log), before)

        self.drive(test())

    def test_position_ahead_of_the_end_is_of_another_history(self) -> None:
        async def test() -> None:
            async with self.opened() as log:
                (first,) = await log.append(drafts("account.opened", 1, "ada"))
                end = (await log.bounds()).end[first.partition]
                before = await history(log)
                for made in (conditional("money.paid", "ada", end), alone("money.paid", end + 1_000, "ada")):
                    with refused(JournalDiverged) as refusal:
                        await log.append([made])
                    error = refusal.error
                    assert (error.partition, error.end_offset, error.common_offset) == (first.partition, end, end)
                assert error.asked_offset == end + 1_001
                assert same_history(await history(log), before)
                made.expected = first.offset
                (second,) = await log.append([made])
                assert second.offset >= end

        self.drive(test())

    def test_condition_concerns_its_key_alone(self) -> None:
        async def test() -> None:
            async with self.opened() as log:
                keys = ["ada", "ad", "ada2", 'a "quoted"\\key/', "Åsa 🚚", ""]
                firsts = [(await log.append([conditional("key.seen", key, -1)]))[0] for key in keys]
                noise = {"key": "ada", '"key":"ada"': '"key":"ada"', "deep": {"key": "Åsa 🚚"}}
                await log.append([draft("noise.made", noise, "noise"), *drafts("noise.made", 2)])
                for key, first in zip(keys, firsts, strict=True):
                    await log.append([conditional("key.seen", key, first.offset)])
                for key, first in zip(keys, firsts, strict=True):
                    with refused(EventConflict) as refusal:
                        await log.append([conditional("key.seen", key, first.offset)])
                    assert refusal.error.key == key

        self.drive(test())

    def test_whole_partition_is_expected_to_end_there(self) -> None:
        async def test() -> None:
            async with self.opened(self.url(1)) as log:
                (first,) = await log.append([alone("leader.chosen", -1)])
                await log.append([alone("leader.chosen", first.offset, "key")])
                (last,) = await log.append(drafts("noise.made", 1, "other"))
                for expected in (-1, first.offset, last.offset - 1):
                    with refused(EventConflict) as refusal:
                        await log.append([alone("leader.chosen", expected, "key")])
                    assert refusal.error.position.offset > expected
                    assert refusal.error.key is None
                await log.append([alone("leader.chosen", last.offset)])
                assert len(await history(log)) == 4

        self.drive(test())

    def test_append_with_several_conditions_lands_whole_or_not_at_all(self) -> None:
        async def test() -> None:
            async with self.opened(self.url(1)) as log:
                several = [
                    conditional("money.paid", "ada", -1, 0),
                    draft("noise.made", {"number": 1}, "noise"),
                    conditional("money.paid", "bob", -1, 2),
                    conditional("money.paid", "ada", -1, 3),
                ]
                events = await log.append(several)
                assert numbers(events) == [0, 1, 2, 3], "the events of one append do not conflict with one another"
                assert [event.offset for event in events] == list(range(events[0].offset, events[0].offset + 4))
                many = [conditional("key.seen", f"key-{number}", -1) for number in range(200)]
                await log.append(many)
                before = await history(log)
                with refused(EventConflict) as refusal:
                    await log.append(
                        [conditional("key.seen", "new", -1), *drafts("noise.made", 2), conditional("x.y", "key-7", -1)]
                    )
                assert refusal.error.key == "key-7"
                assert same_history(await history(log), before)

        self.drive(test())

    def test_conditional_append_repeated_is_found(self) -> None:
        async def test() -> None:
            url = self.url(self.partitions)
            async with self.opened(url) as log, self.opened(url) as other:
                handed_in = [conditional("money.paid", "ada", -1, number) for number in range(3)]
                events = await log.append(handed_in)
                assert same_history(await log.append(handed_in), events)
                await other.append(drafts("money.drawn", 2, "ada"))
                assert same_history(await log.append(handed_in), events), "it was written, whatever follows it"
                assert len(await history(log)) == 5

        self.drive(test())

    def test_refused_draft_with_a_later_position_lands(self) -> None:
        async def test() -> None:
            url = self.url(self.partitions)
            async with self.opened(url) as log, self.opened(url) as other:
                drafted = conditional("money.paid", "ada", -1)
                (event,) = await other.append(drafts("account.opened", 1, "ada"))
                with refused(EventConflict) as refusal:
                    await log.append([drafted])
                assert refusal.error.position == event.position
                assert (drafted.writer, drafted.seq) == ("", 0)
                drafted.expected = refusal.error.position.offset
                await log.append(drafts("noise.made", 1, "ada-2"))
                (landed,) = await log.append([drafted])
                of_key = [each for each in await history(log) if each.key == "ada"]
                assert same_history(of_key, [event, landed])

        self.drive(test())

    def test_condition_that_no_log_can_decide_is_refused(self) -> None:
        async def test() -> None:
            async with self.opened() as log:
                for bad in (Draft("a.b", expected=0), Draft("a.b", key="k", expected=-2)):
                    with refused(InvalidEvent):
                        await log.append([bad])
                with refused(InvalidEvent):
                    await log.append([Draft("a.b", key="k", expected="7")])  # type: ignore[arg-type]
                if log.partitions > 1:
                    spread = [conditional("key.seen", f"key-{number}", -1) for number in range(20)]
                    with refused(InvalidEvent):
                        await log.append(spread)
                assert await history(log) == []

        self.drive(test())

    def test_condition_far_behind_is_checked_up_to_the_end(self) -> None:
        async def test() -> None:
            async with self.opened(self.url(1)) as log:
                (first,) = await log.append(drafts("account.opened", 1, "ada"))
                for _ in range(CONDITION_LOCKED_EVENTS // PAGE_EVENTS + 2):
                    await log.append(drafts("noise.made", PAGE_EVENTS, "noise"))
                (second,) = await log.append([conditional("money.paid", "ada", first.offset)])
                for _ in range(CONDITION_LOCKED_EVENTS // PAGE_EVENTS + 2):
                    await log.append(drafts("noise.made", PAGE_EVENTS, "noise"))
                with refused(EventConflict) as refusal:
                    await log.append([conditional("money.paid", "ada", first.offset)])
                assert refusal.error.position == second.position

        self.drive(test())

    def test_condition_holds_for_the_events_that_retention_left(self) -> None:
        async def test() -> None:
            async with self.opened(self.url(1)) as log:
                await log.append(drafts("money.paid", 3, "ada"))
                (kept,) = await log.append(drafts("noise.made", 1, "noise"))
                await self.trim(log, {0: kept.offset})
                (event,) = await log.append([conditional("account.opened", "ada", -1)])
                assert event.offset == kept.offset + 1
                with refused(EventConflict):
                    await log.append([conditional("account.opened", "ada", -1)])

        self.drive(test())

    def test_one_of_many_tasks_wins_each_round(self) -> None:
        async def test() -> None:
            url = self.url(self.partitions)
            async with self.opened(url) as one, self.opened(url) as other:
                expected, winners = -1, []
                for _ in range(10):
                    ended = await asyncio.gather(
                        *[_outcome(log, conditional("step.taken", "ada", expected)) for log in (one, other) * 4]
                    )
                    won = [each for each in ended if isinstance(each, Event)]
                    assert len(won) == 1, f"expected one winner of the appends after {expected}, got {ended}"
                    assert {each for each in ended if isinstance(each, Position)} == {won[0].position}
                    expected = won[0].offset
                    winners += won
                assert same_history(await history(one), winners)
                await self._check_readers(other, winners)

        asyncio.run(test())

    def test_one_of_many_wins_a_whole_partition_each_round(self) -> None:
        async def test() -> None:
            url = self.url(1)
            async with self.opened(url) as one, self.opened(url) as other:
                expected, winners = -1, []
                for _ in range(10):
                    ended = await asyncio.gather(
                        *[_outcome(log, alone("step.taken", expected)) for log in (one, other)]
                    )
                    won = [each for each in ended if isinstance(each, Event)]
                    assert len(won) == 1, f"expected one winner of the appends after {expected}, got {ended}"
                    expected = won[0].offset
                    winners += won
                assert same_history(await history(one), winners)

        asyncio.run(test())

    def test_cancelled_conditional_append_repeated_lands_once(self) -> None:
        async def test() -> None:
            async with self.opened() as log:
                for turns in range(12):
                    handed_in = [conditional(f"thing.n{turns}", f"key-{turns}", -1, number) for number in range(3)]
                    task = asyncio.ensure_future(log.append(handed_in))
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)
                    events = await log.append(handed_in)
                    stored = [event for event in await history(log) if event.name == f"thing.n{turns}"]
                    assert same_history(stored, events), f"cancelled after {turns} turns of the loop"

        asyncio.run(test())

    def test_conditional_appends_agree_with_a_model(self) -> None:
        """Each writer knows an earlier state of the log; the model decides for each append whether it is accepted."""

        async def test() -> None:
            generator = random.Random(20_261_129)
            url = self.url(self.partitions)
            async with self.opened(url) as one, self.opened(url) as other:
                model: list[Event] = []
                for _ in range(150):
                    log = generator.choice((one, other))
                    key = generator.choice("abc")
                    partition = log.partition_of(key)
                    here = [event for event in model if event.partition == partition]
                    known = here[: max(0, len(here) - generator.choice((0, 0, 0, 1, 2, 5)))]
                    expected = known[-1].offset if known else -1
                    whole = generator.random() < 0.2
                    batch = [conditional("step.taken", key, expected) for _ in range(generator.randrange(1, 4))]
                    for each in batch:
                        each.whole_partition = whole
                    behind = [event for event in here if event.offset > expected and (whole or event.key == key)]
                    outcome = await _outcome(log, *batch)
                    if behind:
                        assert outcome in {event.position for event in behind}
                    else:
                        assert isinstance(outcome, Event)
                        model += await log.append(batch)  # a repeat: it is found
                    if generator.random() < 0.3:
                        model += await log.append(drafts("noise.made", 1, generator.choice("abcd")))
                seen = sorted(await history(one), key=lambda event: event.position)
                assert same_history(seen, sorted(model, key=lambda event: event.position))

        self.drive(test())

    def test_concurrent_conditional_appends_agree_with_their_outcomes(self) -> None:
        """Writers know different prefixes of the log; every reader sees exactly the acknowledged events."""

        async def test() -> None:
            url = self.url(1)
            async with self.opened(url) as one, self.opened(url) as other:
                landed: list[Event] = []

                async def write(log: Log, seed: int) -> None:
                    generator = random.Random(seed)
                    known = {"a": -1, "b": -1}
                    for number in range(40):
                        key = generator.choice("ab")
                        if generator.random() < 0.2:
                            landed.extend(await log.append([draft("noise.made", {"number": number}, key)]))
                            continue
                        outcome = await _outcome(log, conditional("step.taken", key, known[key], number))
                        if isinstance(outcome, Event):
                            landed.append(outcome)
                            known[key] = outcome.offset
                        else:
                            known[key] = max(known[key], outcome.offset)

                await asyncio.gather(*[write(log, seed) for seed, log in enumerate((one, other) * 2)])
                landed.sort(key=lambda event: event.offset)
                assert same_history(await history(one), landed)
                await self._check_readers(other, landed)

        asyncio.run(test())

    async def _check_readers(self, log: Log, expected: Sequence[Event]) -> None:
        """Check that readers starting at any offset, also page by page, see exactly these events."""
        partition = expected[0].partition
        end = (await log.bounds()).end[partition]
        for begin in range(0, end, max(1, end // 12)):
            left = [event for event in expected if event.offset >= begin]
            assert same_history(events_of(await log.read({partition: begin}, len(expected))), left)
            tail = await log.tail({partition: begin})
            got: list[Event] = []
            while len(got) < len(left):
                page = await tail.page(3, timeout=PATIENCE_SECONDS)
                got += events_of([page]) if page is not None else []
            assert same_history(got, left)
            await tail.aclose()


async def _outcome(log: Log, *handed_in: Draft) -> Event | Position:
    """Return the first event of an append, or the position of the event it conflicts with."""
    try:
        return (await log.append(handed_in))[0]
    except EventConflict as error:
        return error.position
