"""The overview of a queue: which tasks and workers it counts, and as of when."""

import msgspec
import pytest
from journeyman.tasks import TaskView
from journeyman.tasks.inspection.overview import Orphans, QueueLine, overview
from journeyman.tasks.state import dead_letters, ended
from journeyman.tasks.state.selection import Selection
from support.story import LEASE_MS, Story


def test_journal_without_tasks_has_nothing_to_show() -> None:
    seen = overview(TaskView(), 1_000.0)
    assert (seen.queues, seen.workers, seen.orphans, seen.dead) == ([], [], [], [])
    assert set(msgspec.structs.astuple(seen.totals)) == {0, None}


def test_queues_are_counted_by_current_task_status() -> None:
    story = Story()
    story.joined("w", queues=("mail", "spare"))
    for number, at in enumerate((990.0, 995.0, 1_000.0)):
        story.submitted(f"mail-{number}", at)
    story.submitted("later", due=1_100.0)
    story.submitted("bulk", queue="bulk", due=1_050.0)
    story.claimed("mail-0", "w")
    assert overview(story.view, 1_010.0).queues == [
        QueueLine("bulk", 0, 1, 0, 0, None, 0),
        QueueLine("mail", 2, 1, 1, 0, 15.0, 1),
        QueueLine("spare", 0, 0, 0, 0, None, 1),
    ]
    later = overview(story.view, 1_110.0)
    assert later.queues[0] == QueueLine("bulk", 1, 0, 0, 0, 60.0, 0)
    assert (later.totals.ready, later.totals.delayed, later.totals.claimed) == (4, 0, 1)


def test_slow_clock_yields_no_negative_spans() -> None:
    story = Story()
    story.submitted("t", 1_000.0)
    assert overview(story.view, 990.0).queues[0].oldest_seconds == 0.0


def test_dead_letters_are_counted_by_queue_and_by_name() -> None:
    story = Story()
    story.joined("w")
    for number, name in enumerate(("send", "send", "resize")):
        story.submitted(f"t{number}", task_name=name)
        claim = story.claimed(f"t{number}", "w")
        story.tell("task.failed", task=f"t{number}", worker="w", claim=claim)
    seen = overview(story.view, 1_010.0)
    assert seen.dead == [("send", 2), ("resize", 1)]
    assert seen.totals.dead == seen.queues[0].dead == 3


def test_worker_is_one_line_over_all_partitions() -> None:
    view = TaskView()
    for partition in range(2):
        story = Story(partition, view)
        story.joined("w", 1_000.0 + partition, tasks=("send", "resize"), more_tasks=4, queues=("mail",), slots=3)
        story.submitted(f"t{partition}")
        story.claimed(f"t{partition}", "w")
    (line,) = overview(view, 1_010.0, {"w": 1_004.0}).workers
    assert (line.worker, line.host, line.pid, line.joined_at) == ("w", "host-w", 7, 1_000.0)
    assert (line.claims, line.slots, line.lease_ms, line.partitions) == (2, 3, LEASE_MS, 2)
    assert (line.tasks, line.more_tasks, line.queues) == (("send", "resize"), 4, ("mail",))
    assert (line.last_sign, line.overdue) == (1_004.0, False)


def test_worker_without_claims_is_never_overdue() -> None:
    story = Story()
    story.joined("idle", 1_000.0)
    story.joined("holds", 1_001.0)
    story.submitted("t")
    story.claimed("t", "holds")
    signs = {"idle": 1_000.0, "holds": 1_000.0}
    on_time = overview(story.view, 1_000.0 + LEASE_MS / 1_000, signs).workers
    assert [(line.worker, line.overdue) for line in on_time] == [("idle", False), ("holds", False)]
    late = overview(story.view, 1_000.1 + LEASE_MS / 1_000, signs).workers
    assert [(line.worker, line.overdue) for line in late] == [("idle", False), ("holds", True)]
    unknown = overview(story.view, 9_000.0).workers
    assert [line.overdue for line in unknown] == [False, False]


def test_tasks_that_no_live_worker_can_run_are_named() -> None:
    story = Story()
    story.joined("w", queues=("mail",))
    story.submitted("ok")
    story.submitted("unknown-1", task_name="resize")
    story.submitted("unknown-2", task_name="resize", due=2_000.0)
    story.submitted("unserved", queue="bulk")
    assert overview(story.view, 1_010.0).orphans == [Orphans("resize", "mail", 2), Orphans("send", "bulk", 1)]
    story.joined("v", tasks=None)
    assert overview(story.view, 1_010.0).orphans == []


def test_task_left_out_by_narrowed_workers_is_named() -> None:
    story = Story()
    story.joined("w", tasks=("send", "resize"), queues=("mail",), selection=Selection(tasks={"mail": ("resize",)}))
    story.submitted("unserved")
    story.submitted("served", task_name="resize")
    seen = overview(story.view, 1_010.0)
    assert seen.orphans == [Orphans("send", "mail", 1)]
    assert seen.workers[0].selection == {"tasks": {"mail": ("resize",)}}


def test_refusals_losses_and_takeovers_are_counted() -> None:
    story = Story()
    story.joined("w")
    story.joined("v")
    story.submitted("t")
    claim = story.claimed("t", "w")
    story.claimed("t", "v")
    story.tell("worker.expired", worker="w", last=claim, by="v")
    story.claimed("t", "v")
    story.tell("task.succeeded", task="t", worker="w", claim=claim)
    story.submitted("r")
    story.tell("task.revoked", task="r")
    totals = overview(story.view, 1_010.0).totals
    assert (totals.lost_claims, totals.takeovers, totals.stale_outcomes) == (1, 1, 1)
    assert (totals.submitted, totals.claimed, totals.revoked, totals.succeeded) == (2, 1, 1, 0)


@pytest.mark.parametrize("how", ["retried", "requeued", "interrupted", "left"])
def test_claim_after_another_return_is_no_takeover(how: str) -> None:
    story = Story()
    story.joined("w")
    story.joined("v")
    story.submitted("t", max_retries=3)
    claim = story.claimed("t", "w")
    if how == "left":
        story.tell("worker.left", worker="w")
    elif how == "requeued":
        story.tell("task.failed", task="t", worker="w", claim=claim)
        story.tell("task.requeued", task="t")
    else:
        story.tell(f"task.{how}", task="t", worker="w", claim=claim)
    story.claimed("t", "v")
    assert overview(story.view, 1_010.0).totals.takeovers == 0


def test_takeover_of_a_task_given_back_again_is_counted_once() -> None:
    story = Story()
    for worker in "wvu":
        story.joined(worker)
    story.submitted("t")
    story.tell("worker.expired", worker="w", last=story.claimed("t", "w"), by="v")
    claim = story.claimed("t", "v")
    story.tell("task.interrupted", task="t", worker="v", claim=claim)
    story.claimed("t", "u")
    assert overview(story.view, 1_010.0).totals.takeovers == 1


def test_totals_count_tasks_that_the_view_has_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ended, "ENDED_TASK_EVENTS", 2)
    monkeypatch.setattr(dead_letters, "DEAD_LETTERS_KEPT", 2)
    story = Story()
    story.joined("w")
    for number in range(5):
        for kind in ("succeeded", "failed"):
            story.submitted(task := f"{kind}-{number}")
            story.tell(f"task.{kind}", task=task, worker="w", claim=story.claimed(task, "w"))
    restored = TaskView()
    restored.restore(story.view.snapshot())
    for seen in (story.view, restored):
        totals = overview(seen, 1_010.0).totals
        assert (totals.submitted, totals.succeeded, totals.dead, totals.counted_since) == (10, 5, 5, None)
