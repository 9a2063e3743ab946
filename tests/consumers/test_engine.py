"""A consumer under faults and delays, on the log in memory, where a test can arrange them."""

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest
from journeyman.consumers import JournalConsumer, JournalConsumerBase, JournalEventBase, Response
from journeyman.consumers.limits import CONSUMER_EVENTS_MAX
from journeyman.journal import Draft, Event, HistoryTruncated, InvalidEvent, Journal, UnreadableRecord
from journeyman.journal.limits import PAGE_EVENTS
from journeyman.journal.memory.log import MemoryLog, MemoryStore

PATIENCE = 30.0


def journal_with(store: MemoryStore) -> Journal:
    return Journal(MemoryLog(store))


def append(journal: Journal, numbers: Iterable[int], partition: int = 0) -> None:
    journal.append_drafts([Draft("order.paid", b'{"n":%d}' % n, partition=partition) for n in numbers])


def numbers(events: Iterable[Any]) -> list[Any]:
    return [None if event is None else "|" if event.is_empty() else event.context["n"] for event in events]


def spoil(store: MemoryStore, partition: int, offset: int) -> None:
    """Put something that is not an event in the place of a record, as another program might."""
    records = store.partitions[partition].records
    records[offset] = records[offset]._replace(row=b"not an event")


class Sourced(JournalConsumerBase):
    """A consumer whose responses are given to it, one list for each stretch of events."""

    def __init__(self, journal: Journal, responses: list[Any], **options: Any) -> None:
        super().__init__(journal, "order", **options)
        self.responses = responses
        self.processed: list[Any] = []
        self.calls: list[Any] = []

    def response_source(self) -> "Sourced":
        return self

    def request(self, topic: str, payload: Mapping[str, Any]) -> None:
        self.calls.append(("request", topic, dict(payload)))

    def respond(self, events: Sequence[Event]) -> list[Any]:
        return self.responses

    def cancel(self, cancel_topic: str) -> None:
        self.calls.append(("cancel", cancel_topic))

    @property
    def request_payload(self) -> dict[str, Any]:
        return {"deny": ["order.lost"]}

    def process_response(self, resp: Response) -> Any:
        self.processed.append(resp)
        return resp.get("kwargs", {})

    def create_event(self, entry: Any, **kwargs: Any) -> Any:
        if kwargs.get("drop"):
            return None
        if kwargs.get("fail"):
            raise ArithmeticError("this entry cannot be understood")
        return JournalEventBase(entry)


def entry(n: int, timestamp: float = 5.0) -> dict[str, Any]:
    return {"timestamp": timestamp, "name": "order.paid", "context": {"n": n}}


# --- responses ------------------------------------------------------------------------------------------------------


def test_response_without_events_is_processed_and_ends_nothing() -> None:
    with Journal("memory://") as journal:
        append(journal, [0])
        responses = [{"events": []}, {"events": [entry(1)]}, {"events": []}, {"events": [entry(2)]}]
        consumer = Sourced(journal, responses, include_sentinel=True).start()
        assert numbers(consumer.poll(PATIENCE) for _ in range(3)) == [1, 2, "|"]
        assert len(consumer.processed) == 4
        consumer.close()


def test_source_is_notified_of_request_and_cancellation() -> None:
    with Journal("memory://") as journal:
        consumer = Sourced(journal, [], cancel_topic="enough").start()
        consumer.start()
        consumer.close()
        request = ("request", "order", {"deny": ["order.lost"]})
        assert consumer.calls == [request, ("cancel", "enough"), request, ("cancel", "enough")]


def test_hooks_may_return_none_and_drop_events() -> None:
    with Journal("memory://") as journal:
        append(journal, [0])
        responses = [{"events": [entry(1)], "kwargs": {"drop": True}}, {"events": [entry(2)], "kwargs": None}]
        consumer = Sourced(journal, responses).start()
        assert numbers([consumer.poll(PATIENCE)]) == [2]
        consumer.close()


def test_since_and_until_hold_for_entries_of_a_source() -> None:
    with Journal("memory://") as journal:
        append(journal, [0])
        responses = [{"events": [entry(1, 5.0), entry(2, 6.0), entry(3, 7.0), entry(4, 8.0)]}]
        consumer = Sourced(journal, responses, since=5.0, until=time.time() + 3_600).start()
        consumer.until = 7.0
        consumer.stop()
        assert numbers(consumer) == [2, 3]


@pytest.mark.parametrize("response", [{}, {"entries": []}, None, [1]])
def test_response_without_a_list_of_events_is_an_error(response: Any) -> None:
    with Journal("memory://") as journal:
        append(journal, [0])
        consumer = Sourced(journal, [{"events": [entry(1)]}, response])
        consumer.is_empty_response = lambda resp: False  # type: ignore[method-assign]
        consumer.process_response = lambda resp: {}  # type: ignore[method-assign]
        consumer.start()
        assert numbers([consumer.poll(PATIENCE)]) == [1]
        for _ in range(2):
            with pytest.raises(InvalidEvent, match="list of entries under 'events'"):
                consumer.poll(PATIENCE)
        consumer.close()


def test_hook_error_comes_after_earlier_events_and_repeats() -> None:
    with Journal("memory://") as journal:
        append(journal, [0])
        responses = [{"events": [entry(1)]}, {"events": [entry(2)], "kwargs": {"fail": True}}]
        consumer = Sourced(journal, responses).start()
        assert numbers([consumer.poll(PATIENCE)]) == [1]
        for _ in range(2):
            with pytest.raises(ArithmeticError, match="cannot be understood"):
                consumer.poll(PATIENCE)
        assert consumer.cursor == journal.bounds().first, "entries without positions hold the cursor at their stretch"
        consumer.close()


def test_cursor_moves_with_the_last_unpositioned_entry() -> None:
    with Journal("memory://") as journal:
        append(journal, [0, 1])
        consumer = Sourced(journal, [{"events": [entry(1), entry(2)]}]).start()
        consumer.poll(PATIENCE)
        assert consumer.cursor == journal.bounds().first
        consumer.poll(PATIENCE)
        assert consumer.cursor == journal.bounds().end
        consumer.close()


def test_is_empty_response_decides_the_end_of_history() -> None:
    class Stubborn(JournalConsumer):
        def is_empty_response(self, resp: Response) -> bool:
            return False

    with Journal("memory://") as journal:
        append(journal, [1])
        consumer = Stubborn(journal, include_sentinel=True).start()
        append(journal, [2])
        consumer.stop()
        assert numbers(consumer) == [1, 2], "what is not taken for the end of history has no sentinel"


def test_subclass_may_have_its_own_sentinel() -> None:
    class Marked(JournalEventBase):
        pass

    class WithOwn(JournalConsumer):
        SENTINEL_EVENT = Marked({})

    with Journal("memory://") as journal:
        consumer = WithOwn(journal, include_sentinel=True).start()
        assert consumer.poll(PATIENCE) is WithOwn.SENTINEL_EVENT
        consumer.close()


# --- records that cannot be delivered -------------------------------------------------------------------------------


@pytest.mark.parametrize("partitions", [1, 3])
def test_bad_record_is_raised_after_all_earlier_events(partitions: int) -> None:
    store = MemoryStore(partitions)
    with journal_with(store) as journal:
        append(journal, range(10))
        spoil(store, 0, 6)
        consumer = JournalConsumer(journal, include_sentinel=True).start()
        assert numbers(consumer.poll(PATIENCE) for _ in range(6)) == list(range(6))
        for _ in range(2):
            with pytest.raises(InvalidEvent, match="record at 0:6 is not an event"):
                consumer.poll(PATIENCE)
        assert consumer.cursor is not None
        assert consumer.cursor[0] == 6
        consumer.close()
        beyond = JournalConsumer(journal, cursor=consumer.cursor.advanced(0, 7)).start()
        assert numbers(beyond.poll(PATIENCE) for _ in range(3)) == [7, 8, 9]
        beyond.close()


def test_bad_record_reaches_a_callback_by_on_error() -> None:
    store = MemoryStore()
    errors: list[BaseException] = []
    got: list[Any] = []
    heard = threading.Event()

    def on_error(error: BaseException) -> None:
        errors.append(error)
        heard.set()

    with journal_with(store) as journal:
        append(journal, range(3))
        spoil(store, 0, 2)
        consumer = JournalConsumer(journal, on_error=on_error).set_callback(got.append).start()
        assert heard.wait(PATIENCE), "on_error is called with the log's error"
        with pytest.raises(InvalidEvent, match="0:2"):
            consumer.stop()
        assert numbers(got) == [0, 1]
        assert [type(error) for error in errors] == [UnreadableRecord]
        consumer.close()


def test_history_that_retention_removed_is_announced() -> None:
    with Journal("memory://") as journal:
        append(journal, range(10))
        consumer = JournalConsumer(journal, cursor="0:2").start()
        journal.run(journal.asynchronous.log.trim({0: 5}))
        with pytest.raises(HistoryTruncated, match="begins at offset 5"):
            consumer.poll(PATIENCE)
        consumer.close()
        whole = JournalConsumer(journal).start()
        whole.stop()
        assert numbers(whole) == [5, 6, 7, 8, 9]


# --- slow and stalled -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("partitions", [1, 3, 40])
def test_stalled_consumer_reads_no_further_than_its_limit(partitions: int) -> None:
    with Journal(f"memory://?partitions={partitions}") as journal:
        for partition in range(partitions):
            append(journal, range(3_000), partition)
        consumer = JournalConsumer(journal).start()
        consumer.poll(PATIENCE)
        assert consumer._stream is not None
        assert consumer._stream._reader is not None
        read_ahead = sum(consumer._stream._reader.read.values())
        assert read_ahead <= min(CONSUMER_EVENTS_MAX, 2 * PAGE_EVENTS * partitions)
        assert read_ahead < 3_000 * partitions
        consumer.stop()
        assert sum(1 for _ in consumer) == 3_000 * partitions - 1, "nothing is lost by being slow"


def test_slow_callback_holds_the_reader_back() -> None:
    with Journal("memory://") as journal:
        for _ in range(10):
            append(journal, range(1_000))
        go_on, called = threading.Event(), threading.Event()
        count = 0

        def slow(event: Any) -> None:
            nonlocal count
            count += event is not None
            called.set()
            go_on.wait(PATIENCE)

        consumer = JournalConsumer(journal).set_callback(slow).start()
        assert called.wait(PATIENCE), "the callback is called with the first event"
        assert consumer._stream is not None
        assert consumer._stream._reader is not None
        assert sum(consumer._stream._reader.read.values()) <= PAGE_EVENTS
        go_on.set()
        consumer.stop()
        consumer.join(PATIENCE)
        assert count == 10_000
