"""An event whose callback failed comes again, whatever other threads have taken meanwhile."""

import threading
from typing import Any

import pytest
from journeyman.consumers import JournalConsumer
from journeyman.journal import Journal

PATIENCE = 30.0


def fill(journal: Journal, count: int) -> None:
    journal.append_all([("order.paid", {"n": n}) for n in range(count)])


@pytest.mark.parametrize("taken", [1, 3, 700, 1_199])
@pytest.mark.parametrize("by", ["poll", "poll_batch", "iteration"])
def test_failed_event_comes_again_after_others_polled_on(taken: int, by: str) -> None:
    with Journal("memory://") as journal:
        fill(journal, 1_200)
        called, go_on = threading.Event(), threading.Event()

        def callback(event: Any) -> None:
            called.set()
            assert go_on.wait(PATIENCE)
            raise ValueError("the callback failed")

        consumer = JournalConsumer(journal).set_callback(callback).start()
        assert called.wait(PATIENCE), "the callback has the first event"
        iterator = iter(consumer)
        polled: list[Any] = []
        while len(polled) < taken:
            if by == "poll_batch":
                polled += consumer.poll_batch(taken - len(polled), PATIENCE)
            else:
                polled.append(next(iterator) if by == "iteration" else consumer.poll(PATIENCE))
        go_on.set()
        with pytest.raises(ValueError, match="the callback failed"):
            consumer.join(PATIENCE)
        assert consumer.cursor == journal.bounds().first, (
            "nothing after the failed event counts as processed before it is"
        )
        assert consumer.statistics().delivered == taken
        consumer.stop()
        rest = [event.context["n"] for event in (iterator if by == "iteration" else consumer)]
        assert rest == [0, *range(taken + 1, 1_200)]
        assert [event.context["n"] for event in polled] == list(range(1, taken + 1))
        assert consumer.cursor == journal.bounds().end


def test_failed_event_comes_again_after_the_end() -> None:
    with Journal("memory://") as journal:
        fill(journal, 2)
        called, go_on = threading.Event(), threading.Event()

        def callback(event: Any) -> None:
            called.set()
            assert go_on.wait(PATIENCE)
            raise ValueError("the callback failed")

        consumer = JournalConsumer(journal).set_callback(callback).start()
        assert called.wait(PATIENCE), "the callback has the first event"
        consumer.stop()
        assert [consumer.poll(PATIENCE), consumer.poll(PATIENCE)][1] is None
        go_on.set()
        with pytest.raises(ValueError, match="the callback failed"):
            consumer.join(PATIENCE)
        again = consumer.poll()
        assert again is not None
        assert again.context == {"n": 0}
        assert consumer.poll() is None
