"""The queue between threads and signal handlers: its timeouts hold, and no item waits for another."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty

import pytest
from journeyman.workers import StopSignalListener
from journeyman.workers.timed_queue import TimedQueue
from support.waiting import wait_until

HANG_SECONDS = 60.0


@contextmanager
def alarm(seconds: float, handler: Callable[[], None]) -> Iterator[None]:
    before = signal.signal(signal.SIGALRM, lambda _number, _frame: handler())
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def test_items_come_in_their_order_and_then_none() -> None:
    queue = TimedQueue[int]()
    for number in range(3):
        queue.put(number)
    assert [queue.get(), queue.get(0), queue.get_nowait()] == [0, 1, 2]
    for timeout in (0, 0.001, -1):
        with pytest.raises(Empty):
            queue.get(timeout)


@pytest.mark.timeout(HANG_SECONDS)
def test_handler_that_outlasts_the_timeout_does_not_prolong_it() -> None:
    handled: list[None] = []

    def outlast() -> None:
        time.sleep(0.02)
        handled.append(None)

    queue = TimedQueue[None]()
    while not handled:  # a starved thread may wait only after the alarm
        with alarm(0.005, outlast), pytest.raises(Empty):
            queue.get(0.01)


@pytest.mark.timeout(HANG_SECONDS)
def test_signal_slower_than_the_timeout_ends_the_wait_of_a_listener() -> None:
    with StopSignalListener((signal.SIGALRM,), exit_override=False) as listener:
        inner = signal.getsignal(signal.SIGALRM)
        assert callable(inner)
        assert not listener.wait(0)

        def slow() -> None:
            time.sleep(0.02)
            inner(signal.SIGALRM, None)

        with alarm(0.005, slow):
            while not listener.wait(60):
                pass


@pytest.mark.timeout(HANG_SECONDS)
def test_put_by_a_handler_wakes_the_thread_it_interrupts() -> None:
    queue = TimedQueue[str]()
    with alarm(0.005, lambda: queue.put("from the handler")):
        assert queue.get() == "from the handler"


@pytest.mark.timeout(HANG_SECONDS)
def test_each_of_many_waiting_threads_gets_an_item() -> None:
    queue, got = TimedQueue[int](), list[int]()
    threads = [threading.Thread(target=lambda: got.append(queue.get(HANG_SECONDS))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for number in range(8):
        queue.put(number)
    wait_until(lambda: len(got) == 8, "each thread to get an item", HANG_SECONDS)
    for thread in threads:
        thread.join()
    assert sorted(got) == list(range(8))


def test_timeout_longer_than_a_lock_can_wait_is_one() -> None:
    queue = TimedQueue[int]()
    queue.put(1)
    assert queue.get(1e300) == 1
    threading.Timer(0.01, queue.put, (2,)).start()
    assert queue.get(1e300) == 2
