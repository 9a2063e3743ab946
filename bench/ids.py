"""Ids that callers choose: the cost of a submission under one, and whether duplicates are refused among many."""

import itertools
import random
import time
from typing import Final

from journeyman import Broker, Journal, Message, MessageAlreadyExistsError
from journeyman.bench.appends import alternate, figure
from journeyman.bench.context import Bench, sqlite_url
from journeyman.bench.figure import Figure

# So many of the known ids are submitted again.
DUPLICATES: Final = 1_000


def chosen(bench: Bench) -> list[Figure]:
    """Submissions under chosen ids, beside those whose ids are not looked for, in a journal with many chosen ids."""
    known = bench.size.chosen_ids
    numbers = itertools.count()
    with bench.file("ids") as path, Journal(sqlite_url(path)) as journal:
        broker = Broker(journal)
        bench.progress(f"chosen ids: {known:,} in advance")
        broker.submit_all((Message(task_name="noop", uuid=f"order-{number}") for number in range(known)), new=True)

        def submit(part: range) -> None:
            for _ in part:
                broker.submit(Message(task_name="noop", uuid=f"late-{next(numbers)}"))

        def submit_new(part: range) -> None:
            for _ in part:
                broker.submit(Message(task_name="noop"), new=True)

        started = time.perf_counter()
        submit(range(1))  # the index is filled up to here
        filled = time.perf_counter() - started
        sides = alternate(bench, "chosen ids", bench.size.lone_appends, submit, submit_new)
        refused_us = _refuse(broker, known)
        found = figure("chosen-ids", "submissions under chosen ids", "ids that are not looked for", sides, 1, 0.86)
        found.facts.update(known_ids=known, first_submission_seconds=filled, refusal_us=refused_us)
    return [found]


def _refuse(broker: Broker, known: int) -> float:
    """Submit ids of all ages again: each must be refused. Return the time of a refusal, in µs."""
    chance = random.Random(7)
    again = [f"order-{chance.randrange(known)}" for _ in range(DUPLICATES)]
    started = time.perf_counter()
    for task_id in again:
        try:
            broker.submit(Message(task_name="noop", uuid=task_id))
        except MessageAlreadyExistsError:
            continue
        raise AssertionError(f"the id {task_id} was accepted for the second time")
    return (time.perf_counter() - started) / len(again) * 1e6
