"""Permits: what a child may begin, and what its worker takes back; each number goes to one of the two."""

import contextlib
import threading
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journeyman.workers.executors.children.permits import Permits, Permitted


@given(st.lists(st.sampled_from(["grant", "arrive", "begin", "withdraw"]), max_size=60))
def test_job_is_begun_once_in_order_or_taken_back(steps: list[str]) -> None:
    permits = Permits()
    queue = Permitted[int](permits.theirs, lambda number: number)
    granted, unsent, begun, back = 0, deque[int](), list[int](), list[int]()
    try:
        for step in [*steps, "arrive", "begin", "begin"]:
            if step == "grant":
                numbers = [granted + 1, granted + 2]
                permits.grant(numbers)
                unsent += numbers
                granted += 2
            elif step == "arrive":
                queue.extend(unsent)
                unsent.clear()
            elif step == "withdraw":
                back += permits.withdraw()
                assert permits.left == 0
            else:
                with contextlib.suppress(IndexError):
                    begun.append(queue.popleft())
        while permits.left or queue:
            try:
                begun.append(queue.popleft())
            except IndexError:
                break
        assert begun == sorted(begun)
        assert sorted(begun + back) == list(range(1, granted + 1))
        assert (len(queue), permits.left) == (0, 0)
    finally:
        permits.close()


def test_threads_share_permits_with_a_withdrawing_caller() -> None:
    permits = Permits()
    queue = Permitted[int](permits.theirs, lambda number: number)
    begun: list[int] = []
    go = threading.Event()

    def begin() -> None:
        go.wait()
        while True:
            try:
                begun.append(queue.popleft())
            except IndexError:
                return

    threads = [threading.Thread(target=begin) for _ in range(4)]
    try:
        numbers = list(range(1, 1_001))
        permits.grant(numbers)
        queue.extend(numbers)
        for thread in threads:
            thread.start()
        go.set()
        back = permits.withdraw()
        for thread in threads:
            thread.join()
        assert sorted(begun + back) == numbers
        assert all(each == number for each, number in zip(sorted(begun), numbers, strict=False)), "the first are begun"
    finally:
        permits.close()


def test_permitted_job_is_begun_once_it_arrives() -> None:
    permits = Permits()
    queue = Permitted[int](permits.theirs, lambda number: number)
    permits.grant([7])
    with pytest.raises(IndexError):
        queue.popleft()
    assert permits.left == 0, "the child has it: it cannot be taken back any more"
    queue.append(7)
    assert queue.popleft() == 7
    permits.close()
