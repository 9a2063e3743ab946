"""The counts that are kept as events come equal those of a look at every task."""

import random
from typing import Any

import pytest
from journeyman.journal.event import Draft
from journeyman.journal.log import Page
from journeyman.tasks.inspection.overview import Overview, counted_overview, overview
from journeyman.tui.counting import CountingView
from support.shop_hour import NOW, Hour
from support.story import Story


def counted(view: CountingView, now: float) -> Overview:
    return counted_overview(view, view.counts(now))


def same(view: CountingView, now: float) -> None:
    """Compare queues, totals and orphans with those of a look at every task."""
    kept, looked = counted(view, now), overview(view, now)
    assert kept.queues == looked.queues
    assert kept.totals == looked.totals
    assert kept.orphans == looked.orphans


@pytest.mark.parametrize("seed", range(6))
def test_counts_equal_those_of_every_task(seed: int) -> None:
    """Events of every kind, many of which the fold refuses, and times at which delays end."""
    chance, now = random.Random(seed), 1_000.0
    view = CountingView()
    story = Story(view=view)
    tasks = [f"t{number}" for number in range(30)]
    claims: dict[str, int] = {}
    for worker in ("w1", "w2"):
        story.joined(worker)
    for _ in range(600):
        now += chance.random() * 3
        task, worker, due = chance.choice(tasks), chance.choice(("w1", "w2")), chance.choice((0.0, now + 20))
        outcome: dict[str, Any] = {"task": task, "worker": worker, "claim": claims.get(task, 0)}
        match chance.randrange(12):
            case 0 | 1 | 2:
                story.submitted(task, now, queue=chance.choice("abc"), due=due, max_retries=2)
            case 3 | 4 | 5:
                claims[task] = story.claimed(task, worker, now)
            case 6:
                story.tell("task.retried", now, **outcome, due=due)
            case 7:
                story.tell(chance.choice(("task.succeeded", "task.failed", "task.interrupted")), now, **outcome)
            case 8:
                story.tell(chance.choice(("task.revoked", "task.requeued", "task.purged")), now, task=task)
            case 9:
                story.tell("worker.left", now, worker=worker)
                story.joined(worker, now)
            case 10:
                session = view.session(0, worker)
                story.tell("worker.expired", now, worker=worker, last=session.last if session else 0)
                story.joined(worker, now)
            case _:
                story.tell(chance.choice(("queue.paused", "queue.resumed")), now, queue_name="a")
        same(view, now)
    restored = CountingView()
    restored.restore(view.snapshot())
    same(restored, now + 30)


def test_counts_of_a_queue_that_never_rests_stay_small() -> None:
    """One old task waits for ever; what passes behind it leaves nothing."""
    view = CountingView()
    story = Story(view=view)
    story.joined("w")
    story.submitted("old", 1_000.0)
    for number in range(5_000):
        story.submitted(f"t{number}", 1_001.0 + number)
        claim = story.claimed(f"t{number}", "w", 1_001.0 + number)
        story.tell("task.succeeded", 1_001.5 + number, task=f"t{number}", worker="w", claim=claim)
    same(view, 7_000.0)
    assert len(view._oldest["mail"]) < 1_100


def test_counts_of_the_hour_equal_those_of_every_task() -> None:
    def encoded(draft: Draft) -> bytes:
        return b'{"timestamp":%s,"name":"%s","context":%s}' % (
            str(draft.timestamp).encode(),
            draft.name.encode(),
            draft.context,
        )

    rows = [encoded(draft) for draft in Hour().told()]
    view = CountingView()
    for begin in range(0, len(rows), 500):
        part = rows[begin : begin + 500]
        view.apply_page(Page(0, range(begin, begin + len(part)), part))
        same(view, NOW)
    assert counted(view, NOW).totals.submitted > 1_500
