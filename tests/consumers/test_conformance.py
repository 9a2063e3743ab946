"""The contract of every consumer, on every journal."""

import math
import threading
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from journeyman.consumers import JournalConsumer, JournalConsumerBase, JournalEventBase, Response
from journeyman.journal import Journal, JournalClosed
from support.journals import OnHttp, OnKafka, OnMemory, OnMemoryPartitions, OnSqlite

PATIENCE = 30.0  # seconds; a test that waits so long has failed


def numbers(events: list[Any]) -> list[Any]:
    """The delivered events in short: the number in the context, "|" for the sentinel, None for the end."""
    return [None if event is None else "|" if event.is_empty() else event.context["n"] for event in events]


def fill(journal: Journal, *contents: int, name: str = "order.paid") -> None:
    journal.append_all([(name, {"n": n}, str(n % 5)) for n in contents])


def polled(consumer: JournalConsumerBase, count: int) -> list[Any]:
    return [consumer.poll(PATIENCE) for _ in range(count)]


class Collector:
    """A callback that keeps what it is called with, and lets a test wait for it."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.extra: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        self._changed = threading.Condition()

    def __call__(self, event: JournalEventBase | None, *args: Any, **kwargs: Any) -> None:
        with self._changed:
            self.events.append(event)
            self.extra.append((args, kwargs))
            self._changed.notify_all()

    def wait_for(self, count: int) -> list[Any]:
        with self._changed:
            came = self._changed.wait_for(lambda: len(self.events) >= count, PATIENCE)
            assert came, f"waited for {count} calls of the callback, got {numbers(self.events)}"
            return list(self.events)


class ConsumerConformance:
    """Subclass it and supply `url`."""

    def url(self, directory: Path) -> str:
        raise NotImplementedError

    @pytest.fixture
    def journal(self, tmp_path: Path) -> Iterator[Journal]:
        with Journal(self.url(tmp_path)) as journal:
            yield journal

    # --- construction -----------------------------------------------------------------------------------------------

    def test_constructor_has_the_parameters_of_the_reference(self, journal: Journal) -> None:
        consumer = JournalConsumer(journal, "order", None, True, 5.0, True)
        assert (consumer.journal, consumer.topic, consumer.cancel_topic) == (journal, "order", "order-cancel")
        assert (consumer.full, consumer.since, consumer.include_sentinel) == (True, 5.0, True)
        assert JournalConsumer(journal, "order", "enough").cancel_topic == "enough"
        defaults = JournalConsumer(journal)
        assert (defaults.topic, defaults.full, defaults.since, defaults.include_sentinel) == ("", True, 0.0, False)
        assert defaults.request_payload == {}

    def test_bad_arguments_are_refused_with_a_sentence(self, journal: Journal) -> None:
        with pytest.raises(TypeError, match="dotted prefix"):
            JournalConsumer(journal, 3)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="seconds since the epoch"):
            JournalConsumer(journal, since=float("nan"))
        with pytest.raises(TypeError, match="AsyncJournalConsumer"):
            JournalConsumer(journal.asynchronous)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="full=False"):
            JournalConsumer(journal, full=False, cursor="0:1")
        with pytest.raises(ValueError, match="expected a cursor"):
            JournalConsumer(journal, cursor="yesterday")
        with pytest.raises(TypeError, match="is not callable"):
            JournalConsumer(journal).set_callback(None)  # type: ignore[arg-type]

    def test_base_class_is_abstract(self, journal: Journal) -> None:
        with pytest.raises(TypeError, match="abstract"):
            JournalConsumerBase(journal, "order")  # type: ignore[abstract]

    def test_start_and_set_callback_return_the_consumer(self, journal: Journal) -> None:
        consumer = JournalConsumer(journal)
        assert consumer.set_callback(Collector()) is consumer
        assert consumer.start() is consumer
        consumer.close()

    def test_poll_and_stop_before_start_are_errors(self, journal: Journal) -> None:
        consumer = JournalConsumer(journal)
        with pytest.raises(RuntimeError, match="before start"):
            consumer.poll()
        with pytest.raises(RuntimeError, match="before start"):
            consumer.stop()

    # --- history, sentinel, live ------------------------------------------------------------------------------------

    def test_poll_gives_history_then_one_sentinel_then_live_events(self, journal: Journal) -> None:
        fill(journal, *range(1_200))
        consumer = JournalConsumer(journal, "order", include_sentinel=True).start()
        history = polled(consumer, 1_200)
        assert [event.timestamp for event in history] == sorted(event.timestamp for event in history)
        assert sorted(numbers(history)) == list(range(1_200))
        assert consumer.poll(PATIENCE) == consumer.SENTINEL_EVENT
        fill(journal, 1_200)
        journal.append("order.paid", {"n": 1_201}, key="0")
        assert numbers(polled(consumer, 2)) == [1_200, 1_201]
        consumer.close()

    def test_events_of_one_key_keep_their_order(self, journal: Journal) -> None:
        fill(journal, *range(1_000))
        consumer = JournalConsumer(journal, key="3").start()
        assert numbers(polled(consumer, 200)) == list(range(3, 1_000, 5))
        consumer.close()

    def test_sentinel_ends_an_empty_history(self, journal: Journal) -> None:
        consumer = JournalConsumer(journal, include_sentinel=True).start()
        assert numbers(polled(consumer, 1)) == ["|"]
        fill(journal, 1)
        assert numbers(polled(consumer, 1)) == [1]
        consumer.close()

    def test_sentinel_comes_only_if_asked_for(self, journal: Journal) -> None:
        fill(journal, 1)
        consumer = JournalConsumer(journal).start()
        fill(journal, 2)
        consumer.stop()
        assert numbers(polled(consumer, 3)) == [1, 2, None]

    def test_consumer_without_history_gets_live_events_alone(self, journal: Journal) -> None:
        fill(journal, *range(10))
        consumer = JournalConsumer(journal, full=False, include_sentinel=True).start()
        fill(journal, 10)
        assert numbers(polled(consumer, 1)) == [10]
        consumer.stop()
        assert consumer.poll(PATIENCE) is None

    def test_since_is_strict_and_leaves_the_sentinel(self, journal: Journal) -> None:
        events = [journal.append("order.paid", {"n": n}, key=str(n)) for n in range(5)]
        consumer = JournalConsumer(journal, since=events[2].timestamp, include_sentinel=True).start()
        assert numbers(polled(consumer, 3)) == [3, 4, "|"]
        consumer.close()
        late = JournalConsumer(journal, since=events[4].timestamp, include_sentinel=True).start()
        assert numbers(polled(late, 1)) == ["|"]
        late.close()

    def test_since_holds_for_live_events_too(self, journal: Journal) -> None:
        event = journal.append("order.paid", {"n": 0})
        consumer = JournalConsumer(journal, since=event.timestamp + 3_600, include_sentinel=True).start()
        fill(journal, 1)
        consumer.stop()
        assert numbers(polled(consumer, 2)) == ["|", None]

    def test_topic_is_a_dotted_prefix(self, journal: Journal) -> None:
        for name in ("task", "task.claimed", "tasks.added", "tas", "task.a.b", "other"):
            journal.append(name, {"n": name}, key="one")
        assert numbers(self.all_of(journal, "task")) == ["task", "task.claimed", "task.a.b"]
        assert numbers(self.all_of(journal, "task.a")) == ["task.a.b"]
        assert len(self.all_of(journal, "")) == 6

    def all_of(self, journal: Journal, topic: str = "", **options: Any) -> list[Any]:
        with JournalConsumer(journal, topic, **options) as consumer:
            consumer.stop()
            return list(consumer)

    def test_long_stretch_of_other_topics_ends_nothing(self, journal: Journal) -> None:
        fill(journal, 1)
        fill(journal, *range(2_000), name="noise.made")
        fill(journal, 2)
        consumer = JournalConsumer(journal, "order", include_sentinel=True).start()
        assert numbers(polled(consumer, 3)) == [1, 2, "|"]
        consumer.close()

    def test_key_and_predicate_filter_without_ending_the_stream(self, journal: Journal) -> None:
        fill(journal, *range(1_500))
        even = JournalConsumer(journal, key="4", where=lambda event: event.context["n"] % 2 == 0, include_sentinel=True)
        even.start()
        assert numbers(polled(even, 151)) == [*range(4, 1_500, 10), "|"]
        even.close()

    def test_history_and_live_events_meet_without_gap_or_repeat(self, journal: Journal) -> None:
        over = threading.Event()
        written = 0

        def write() -> None:
            nonlocal written
            while not over.is_set():
                fill(journal, *range(written, written + 10))
                written += 10

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for _ in range(5):
                consumer = JournalConsumer(journal, include_sentinel=True).start()
                while not consumer.poll(PATIENCE).is_empty():  # type: ignore[union-attr]
                    pass
                polled(consumer, 50)
                consumer.close()
            consumer = JournalConsumer(journal).start()
            polled(consumer, 10)
        finally:
            over.set()
            writer.join()
        consumer.stop()
        got = numbers(list(consumer))
        assert len(got) == len(set(got)) == written - 10

    def test_history_replays_what_a_live_consumer_saw(self, journal: Journal) -> None:
        live = JournalConsumer(journal, full=False).start()
        for start in range(0, 300, 30):
            fill(journal, *range(start, start + 30))
        live.stop()
        seen = sorted(live, key=lambda event: (event.timestamp, event.position or ()))
        assert seen == sorted(self.all_of(journal), key=lambda event: (event.timestamp, event.position or ()))
        assert len(seen) == 300

    def test_threads_sharing_a_consumer_get_each_event_once(self, journal: Journal) -> None:
        fill(journal, *range(2_000))
        consumer = JournalConsumer(journal).start()
        consumer.stop()
        taken: list[list[Any]] = [[] for _ in range(4)]

        def take(mine: list[Any]) -> None:
            while (event := consumer.poll(PATIENCE)) is not None:
                mine.append(event)

        threads = [threading.Thread(target=take, args=(mine,)) for mine in taken]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert sorted(numbers([event for mine in taken for event in mine])) == list(range(2_000))

    # --- poll and its timeouts --------------------------------------------------------------------------------------

    def test_timeout_is_a_total_deadline(self, journal: Journal) -> None:
        consumer = JournalConsumer(journal, "order").start()
        over = threading.Event()

        def make_noise() -> None:
            while not over.is_set():
                fill(journal, 1, name="noise.made")

        noise = threading.Thread(target=make_noise)
        noise.start()
        try:
            with pytest.raises(TimeoutError):
                consumer.poll(0.2)
        finally:
            over.set()
            noise.join()
        fill(journal, 7)
        assert numbers(polled(consumer, 1)) == [7], "a timeout loses nothing"
        consumer.close()

    def test_timeout_of_zero_takes_available_events(self, journal: Journal) -> None:
        fill(journal, 1)
        consumer = JournalConsumer(journal).start()
        assert numbers(polled(consumer, 1)) == [1]
        with pytest.raises(TimeoutError):
            consumer.poll(0)
        consumer.close()

    @pytest.mark.parametrize("timeout", [-1.0, -0.5, -1])
    def test_negative_timeout_waits_for_the_event(self, journal: Journal, timeout: float) -> None:
        consumer = JournalConsumer(journal).start()
        writer = threading.Timer(0.05, fill, (journal, 1))
        writer.start()
        assert numbers([consumer.poll(timeout)]) == [1]
        writer.join()
        consumer.close()

    @pytest.mark.parametrize("timeout", [math.inf, 1e300])
    def test_endless_timeout_waits_for_the_event(self, journal: Journal, timeout: float) -> None:
        consumer = JournalConsumer(journal).start()
        writer = threading.Timer(0.05, fill, (journal, 1))
        writer.start()
        assert numbers([consumer.poll(timeout)]) == [1]
        writer.join()
        fill(journal, 2)
        assert numbers(consumer.poll_batch(timeout=timeout)) == [2]
        collector = Collector()
        consumer.set_callback(collector)
        consumer.stop()
        consumer.join(timeout)
        assert numbers(collector.events) == [None]
        consumer.close()

    def test_timeout_that_is_no_number_is_refused(self, journal: Journal) -> None:
        with JournalConsumer(journal) as consumer, pytest.raises(ValueError, match="got NaN"):
            consumer.poll(math.nan)

    def test_unknown_partition_is_refused(self, journal: Journal) -> None:
        with pytest.raises(ValueError, match=r"cursor 99:0 is not one of this journal, which has the partition"):
            JournalConsumer(journal, cursor="99:0").start()
        with pytest.raises(ValueError, match=r"cursor 0:0,99:1 is not one of this journal, which has the partition"):
            JournalConsumer(journal, until="0:0,99:1").start()

    # --- stop -------------------------------------------------------------------------------------------------------

    def test_stop_delivers_available_events_and_then_only_none(self, journal: Journal) -> None:
        fill(journal, *range(700))
        consumer = JournalConsumer(journal, include_sentinel=True).start()
        fill(journal, 700)
        consumer.stop()
        fill(journal, 701)
        events = polled(consumer, 702)
        assert sorted(numbers(events[:700])) == list(range(700))
        assert numbers(events[700:]) == ["|", 700]
        assert [consumer.poll(0), consumer.poll(0.1), consumer.poll()] == [None, None, None]

    def test_stop_is_idempotent(self, journal: Journal) -> None:
        consumer = JournalConsumer(journal).start()
        consumer.stop()
        consumer.stop()
        assert consumer.poll() is None
        consumer.stop()
        assert consumer.poll() is None

    def test_stop_ends_a_poll_that_waits_in_another_thread(self, journal: Journal) -> None:
        consumer = JournalConsumer(journal, include_sentinel=True).start()
        assert numbers(polled(consumer, 1)) == ["|"]
        answers: list[Any] = []
        waiting = threading.Thread(target=lambda: answers.append(consumer.poll()))
        waiting.start()
        consumer.stop()
        waiting.join(PATIENCE)
        assert answers == [None]

    # --- start again ------------------------------------------------------------------------------------------------

    def test_restart_replays_history_and_drops_the_old_stream(self, journal: Journal) -> None:
        fill(journal, *range(600))
        consumer = JournalConsumer(journal, include_sentinel=True).start()
        polled(consumer, 3)
        consumer.start()
        events = polled(consumer, 601)
        assert [event.timestamp for event in events[:600]] == sorted(event.timestamp for event in events[:600])
        assert sorted(numbers(events[:600])) == list(range(600))
        assert numbers(events[600:]) == ["|"]
        fill(journal, 600)
        assert numbers(polled(consumer, 1)) == [600]
        with pytest.raises(TimeoutError):
            consumer.poll(0)
        consumer.close()

    def test_start_after_the_end_begins_anew(self, journal: Journal) -> None:
        fill(journal, 1)
        consumer = JournalConsumer(journal).start()
        consumer.stop()
        assert numbers(polled(consumer, 2)) == [1, None]
        consumer.start()
        consumer.stop()
        assert numbers(polled(consumer, 2)) == [1, None]

    def test_restart_leaves_one_stream_to_the_callback(self, journal: Journal) -> None:
        fill(journal, 1)
        collector = Collector()
        consumer = JournalConsumer(journal, include_sentinel=True).set_callback(collector).start()
        collector.wait_for(2)
        consumer.start()
        collector.wait_for(4)
        fill(journal, 2)
        collector.wait_for(5)
        consumer.stop()
        consumer.join(PATIENCE)
        assert numbers(collector.events) == [1, "|", 1, "|", 2, None]

    def test_restart_inside_a_callback_works(self, journal: Journal) -> None:
        fill(journal, 1, 2)
        collector = Collector()

        def restart_once(event: JournalEventBase | None) -> None:
            collector(event)
            if len(collector.events) == 1:
                consumer.start()

        consumer = JournalConsumer(journal, key="1")
        consumer.set_callback(restart_once).start()
        collector.wait_for(2)
        consumer.stop()
        consumer.join(PATIENCE)
        assert numbers(collector.events) == [1, 1, None]

    # --- callbacks --------------------------------------------------------------------------------------------------

    def test_callback_gets_history_sentinel_live_events_and_none(self, journal: Journal) -> None:
        fill(journal, *range(600))
        collector = Collector()
        consumer = JournalConsumer(journal, include_sentinel=True).set_callback(collector, 1, two=2).start()
        collector.wait_for(601)
        fill(journal, 600)
        collector.wait_for(602)
        consumer.stop()
        consumer.join(PATIENCE)
        assert sorted(numbers(collector.events[:600])) == list(range(600))
        assert numbers(collector.events[600:]) == ["|", 600, None]
        assert set(map(str, collector.extra)) == {str(((1,), {"two": 2}))}
        assert consumer.poll() is None

    def test_callback_set_after_start_gets_what_poll_left(self, journal: Journal) -> None:
        fill(journal, 1, 6, 11)
        consumer = JournalConsumer(journal).start()
        assert numbers(polled(consumer, 1)) == [1]
        collector = Collector()
        consumer.set_callback(collector)
        assert numbers(collector.wait_for(2)) == [6, 11]
        consumer.stop()
        consumer.join(PATIENCE)
        assert numbers(collector.events) == [6, 11, None]

    def test_new_callback_takes_over_with_the_next_event(self, journal: Journal) -> None:
        fill(journal, 1, 6)
        second = Collector()

        def first(event: JournalEventBase | None) -> None:
            consumer.set_callback(second, "new")

        consumer = JournalConsumer(journal)
        consumer.set_callback(first).start()
        consumer.stop()
        consumer.join(PATIENCE)
        assert numbers(second.events) == [6, None]
        assert second.extra == [(("new",), {}), (("new",), {})]

    @pytest.mark.parametrize("kind", [ValueError, OSError])
    @pytest.mark.parametrize("call", ["poll", "stop", "join", "close"])
    def test_callback_error_reaches_the_caller_once(self, journal: Journal, kind: type[Exception], call: str) -> None:
        fill(journal, 1, 6)
        failed = threading.Event()
        errors: list[BaseException] = []

        def callback(event: JournalEventBase | None) -> None:
            raise kind("the callback failed")

        def on_error(error: BaseException) -> None:
            errors.append(error)
            failed.set()

        consumer = JournalConsumer(journal, on_error=on_error).set_callback(callback).start()
        assert failed.wait(PATIENCE), "on_error is called with the callback's error"
        with pytest.raises(kind, match="the callback failed"):
            getattr(consumer, call)()
        assert [type(error) for error in errors] == [kind]
        if call != "close":
            assert numbers(polled(consumer, 2)) == [1, 6], "the event whose callback failed is first in line"
        consumer.close()

    def test_new_callback_continues_after_an_error(self, journal: Journal) -> None:
        fill(journal, 1, 6, 11)
        collector = Collector()

        def callback(event: JournalEventBase) -> None:
            if event.context["n"] == 6:
                raise ValueError("six is too many")
            collector(event)

        consumer = JournalConsumer(journal).set_callback(callback).start()
        with pytest.raises(ValueError, match="six"):
            consumer.join(PATIENCE)
        consumer.set_callback(collector)
        consumer.stop()
        consumer.join(PATIENCE)
        assert numbers(collector.events) == [1, 6, 11, None]

    def test_closed_journal_is_an_error_in_both_modes(self, tmp_path: Path) -> None:
        journal = Journal(self.url(tmp_path))
        by_poll = JournalConsumer(journal).start()
        failed = threading.Event()
        by_callback = JournalConsumer(journal, on_error=lambda _: failed.set()).set_callback(Collector()).start()
        journal.close()
        with pytest.raises(JournalClosed, match="is closed"):
            by_poll.poll(PATIENCE)
        assert failed.wait(PATIENCE), "on_error is called when the journal is closed"
        with pytest.raises(JournalClosed, match="is closed"):
            by_callback.join(PATIENCE)
        by_poll.close()
        by_callback.close()

    def test_start_fails_at_once_on_a_closed_journal(self, tmp_path: Path) -> None:
        journal = Journal(self.url(tmp_path))
        journal.close()
        with pytest.raises(JournalClosed, match="is closed"):
            JournalConsumer(journal).start()

    # --- iteration and with -----------------------------------------------------------------------------------------

    def test_iteration_resumes_where_it_was_left(self, journal: Journal) -> None:
        fill(journal, 1, 6, 11)
        consumer = JournalConsumer(journal)
        for event in consumer:
            assert numbers([event]) == [1]
            break
        assert numbers(polled(consumer, 1)) == [6]
        consumer.stop()
        assert numbers(list(consumer)) == [11]
        assert list(consumer) == []

    def test_restart_inside_a_loop_drops_the_old_stream(self, journal: Journal) -> None:
        fill(journal, 1, 6, 11)
        got: list[Any] = []
        consumer = JournalConsumer(journal)
        for event in consumer:
            got.append(event)
            if len(got) == 2:
                consumer.start()
                consumer.stop()
        assert numbers(got) == [1, 6, 1, 6, 11]

    def test_with_block_ends_the_consumer_on_exit(self, journal: Journal) -> None:
        fill(journal, *range(10))
        collector = Collector()
        with JournalConsumer(journal) as consumer:
            polled(consumer, 2)
            assert consumer.set_callback(collector) is consumer
        assert consumer.poll() is None
        assert None not in collector.events, "close is not an end of the stream"
        with pytest.raises(KeyError), JournalConsumer(journal):
            raise KeyError

    # --- resuming ---------------------------------------------------------------------------------------------------

    def test_cursor_resumes_exactly_after_any_event(self, journal: Journal) -> None:
        fill(journal, *range(60))
        whole = self.all_of(journal, include_sentinel=True)
        for taken in range(0, 62, 5):
            consumer = JournalConsumer(journal, include_sentinel=True).start()
            head = polled(consumer, taken)
            cursor = consumer.cursor
            consumer.close()
            assert cursor is not None
            rest = self.all_of(journal, include_sentinel=True, cursor=str(cursor))
            assert head + rest == whole or (taken == 61 and rest == [consumer.SENTINEL_EVENT])

    def test_cursor_moves_past_filtered_events(self, journal: Journal) -> None:
        fill(journal, 1)
        fill(journal, *range(1_000), name="noise.made")
        consumer = JournalConsumer(journal, "order", include_sentinel=True).start()
        assert numbers(polled(consumer, 2)) == [1, "|"]
        assert consumer.cursor == journal.bounds().end
        consumer.close()

    def test_cursor_is_missing_before_start(self, journal: Journal) -> None:
        consumer = JournalConsumer(journal)
        assert consumer.cursor is None
        consumer.start()
        assert consumer.cursor == journal.bounds().first
        consumer.close()

    # --- subclasses -------------------------------------------------------------------------------------------------

    def test_process_response_is_called_once_per_response(self, journal: Journal) -> None:
        fill(journal, *range(20))
        consumer = Telling(journal, "order").start()
        consumer.stop()
        events = list(consumer)
        assert sorted(numbers(events)) == list(range(20))
        assert sum(consumer.sizes) == 20
        assert {event.response for event in events if isinstance(event, Numbered)} == set(range(len(consumer.sizes)))
        assert attrgetter("context")(events[0]) == {"n": numbers(events)[0]}


class Numbered(JournalEventBase):
    """Knows which response it came with."""

    def __init__(self, entry: Any, response: int) -> None:
        super().__init__(entry)
        self.response = response


class Telling(JournalConsumerBase):
    """Tells each event which response it came with."""

    def __init__(self, journal: Journal, topic: str) -> None:
        super().__init__(journal, topic)
        self.sizes: list[int] = []

    def process_response(self, resp: Response) -> dict[str, Any]:
        self.sizes.append(len(resp["events"]))
        return {"response": len(self.sizes) - 1}

    def create_event(self, entry: Any, **kwargs: Any) -> Numbered:
        return Numbered(entry, **kwargs)


class TestOnMemory(OnMemory, ConsumerConformance):
    pass


class TestOnMemoryPartitions(OnMemoryPartitions, ConsumerConformance):
    pass


class TestOnSqlite(OnSqlite, ConsumerConformance):
    pass


class TestOnHttp(OnHttp, ConsumerConformance):
    pass


class TestOnKafka(OnKafka, ConsumerConformance):
    pass
