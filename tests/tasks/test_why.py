"""`why`, by tables: a state, the moment of the question, and the expected findings."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from journeyman import AsyncJournal
from journeyman.tasks.inspection.as_of import view_as_of
from journeyman.tasks.inspection.evidence import gather
from journeyman.tasks.inspection.findings import NOTHING, Evidence, Finding, LastChange, RefusedEvent
from journeyman.tasks.inspection.why import explain
from journeyman.tasks.state.selection import Selection
from support.story import Story

Tell = Callable[[Story], Any]


class Case(NamedTuple):
    """The events, the question, and the codes and words of the answer."""

    name: str
    tell: Tell
    codes: list[str]
    words: str
    now: float = 1_002.0
    evidence: Evidence = NOTHING


def no_worker(story: Story) -> None:
    story.submitted("t")


def ignorant(story: Story) -> None:
    story.joined("w", tasks=("resize", "thumb"))
    story.joined("v", tasks=("thumb",))
    story.submitted("t")


def ignorant_one(story: Story) -> None:
    story.joined("w", tasks=("resize",))
    story.submitted("t")


def unserved(story: Story) -> None:
    story.joined("w", queues=("urgent", "bulk"))
    story.joined("v", tasks=("resize",))
    story.submitted("t")


def narrowed(story: Story) -> None:
    story.joined(
        "w", tasks=("send", "resize"), queues=("mail", "bulk"), selection=Selection(tasks={"mail": ("resize",)})
    )
    story.submitted("t")


def paused(story: Story) -> None:
    story.joined("w")
    story.submitted("t")
    story.tell("queue.paused", queue_name="mail")


def paused_and_delayed(story: Story) -> None:
    story.submitted("t", due=2_000.0)
    story.tell("queue.paused", queue_name="mail")


def resumed(story: Story) -> None:
    paused(story)
    story.tell("queue.resumed", queue_name="mail")


def behind_a_paused_queue(story: Story) -> None:
    story.joined("w", queues=("urgent", "mail"))
    story.submitted("first", queue="urgent")
    story.tell("queue.paused", queue_name="urgent")
    story.submitted("t")


def purged(story: Story) -> None:
    failed(story)
    story.tell("task.purged", task="t")


def lapsed(story: Story) -> None:
    story.submitted("t", expires=1_001.0)
    story.tell("task.lapsed", task="t")


def behind_none_as_queues_take_turns(story: Story) -> None:
    story.joined("w", queues=("urgent", "mail"), selection=Selection(order="fair"))
    story.submitted("in-urgent", queue="urgent")
    story.submitted("t")


def behind_one_that_has_aged(story: Story) -> None:
    story.joined("w", selection=Selection(ageing_ms=10_000))
    story.submitted("aged", 979.0, priority=2)
    story.submitted("too-young", 981.0, priority=2)
    story.submitted("t", 1_000.0, priority=0)


def silent_about_tasks(story: Story) -> None:
    story.joined("w", tasks=None)
    story.submitted("t")


def many_names(story: Story) -> None:
    story.joined("w", tasks=("a", "b"), more_tasks=3)
    story.submitted("t")


def behind_in_queue(story: Story) -> None:
    story.joined("w")
    for number in range(3):
        story.submitted(f"before-{number}", 999.0)
    story.submitted("delayed", 999.0, due=2_000.0)
    story.submitted("other", 999.0, task_name="resize")
    story.submitted("t", 1_001.0)
    story.submitted("after", 1_001.0)


def behind_in_every_way(story: Story) -> None:
    story.joined("w", queues=("urgent", "mail", "bulk"))
    story.submitted("in-urgent", queue="urgent", priority=9)
    story.submitted("in-bulk", queue="bulk")
    story.submitted("elsewhere", queue="elsewhere")
    story.submitted("earlier", priority=5)
    story.submitted("t", priority=5)
    story.submitted("better", priority=4)
    story.submitted("worse", priority=6)


def behind_at_one_of_two(story: Story) -> None:
    story.joined("w", queues=("urgent", "mail"))
    story.joined("v", queues=("mail",))
    story.submitted("in-urgent", queue="urgent")
    story.submitted("t")


def busy(story: Story) -> None:
    story.joined("w", slots=1)
    story.joined("v", slots=1, tasks=("resize", "send"))
    for worker in "wv":
        story.submitted(f"of-{worker}")
        story.claimed(f"of-{worker}", worker)
    story.submitted("t")


def half_busy(story: Story) -> None:
    story.joined("w", slots=2)
    story.submitted("held")
    story.claimed("held", "w")
    story.submitted("t")


def idle(story: Story) -> None:
    story.joined("w")
    story.submitted("t")


def suspected(story: Story) -> None:
    for task in ("t", "u"):
        story.submitted(task)
    for worker in "wv":
        story.joined(worker)
        for task in ("t", "u"):
            last = story.claimed(task, worker)
        story.tell("worker.expired", worker=worker, last=last, by="x")
    story.joined("x")


def suspected_before_its_last_attempt(story: Story) -> None:
    story.joined("w")
    story.submitted("t", max_retries=1)
    story.tell("worker.expired", worker="w", last=story.claimed("t", "w"), by="x")
    story.joined("x")


def delayed(story: Story) -> None:
    story.joined("w")
    story.submitted("t", due=1_130.0)


def delayed_to(due: float) -> Tell:
    return lambda story: (story.joined("w"), story.submitted("t", due=due))


def failed_once(story: Story) -> None:
    story.joined("w")
    story.submitted("t")
    claim = story.claimed("t", "w")
    story.tell("task.retried", 1_001.0, task="t", worker="w", claim=claim, due=1_061.0)


def lost_by_expiry(story: Story) -> None:
    story.joined("w")
    story.joined("v")
    story.submitted("t")
    claim = story.claimed("t", "w")
    story.tell("worker.expired", 1_001.0, worker="w", last=claim, by="v")


def given_back(story: Story) -> None:
    story.joined("w")
    story.submitted("t")
    claim = story.claimed("t", "w")
    story.tell("task.interrupted", 1_001.0, task="t", worker="w", claim=claim)


def asked_for_later(story: Story) -> None:
    story.joined("w")
    story.submitted("t")
    claim = story.claimed("t", "w")
    story.tell("task.interrupted", 1_001.0, task="t", worker="w", claim=claim, due=1_061.0)


def held(story: Story) -> None:
    story.joined("w")
    story.submitted("t")
    story.claimed("t", "w", 1_001.0)


def held_with_another_there(story: Story) -> None:
    story.joined("v")
    held(story)


def held_last_attempt(story: Story) -> None:
    story.joined("w")
    story.submitted("t", max_retries=0)
    story.claimed("t", "w", 1_001.0)


def succeeded(story: Story) -> None:
    held(story)
    story.tell("task.succeeded", 1_001.5, task="t", worker="w", claim=story.offset)


def collected(story: Story) -> None:
    succeeded(story)
    story.tell("task.collected", task="t")


def failed(story: Story) -> None:
    held(story)
    story.tell("task.failed", 1_001.5, task="t", worker="w", claim=story.offset)


def killed_its_worker(story: Story) -> None:
    story.joined("v")
    held_last_attempt(story)
    story.tell("worker.expired", 1_001.5, worker="w", last=story.offset, by="v")


def revoked(story: Story) -> None:
    held(story)
    story.tell("task.revoked", 1_001.5, task="t")


ERROR = {"exception": {"name": "ValueError", "text": "no\nmail"}}
SILENT = Evidence(signs={"w": 1_001.0, "v": 1_001.0})

CASES = [
    Case("no worker is there", no_worker, ["no_worker"], "No worker is running"),
    Case("no worker knows it", ignorant, ["no_worker_knows"], "2 workers are running, and they know resize and thumb."),
    Case("the only one does not", ignorant_one, ["no_worker_knows"], "1 worker is running, and it knows resize."),
    Case(
        "no worker serves the queue", unserved, ["queue_unserved"], "the worker that knows it serves bulk and urgent."
    ),
    Case("the queue is served for other tasks", narrowed, ["queue_unserved"], "bulk and mail (there only resize)."),
    Case("queues take turns", behind_none_as_queues_take_turns, ["next"], "Nothing is in its way"),
    Case("aged", behind_one_that_has_aged, ["behind"], "1 task comes first: of lower priority, waiting for longer."),
    Case("a worker that did not say may", silent_about_tasks, ["next"], "Nothing is in its way"),
    Case("a worker that left names out may", many_names, ["next"], "Nothing is in its way"),
    Case("behind others", behind_in_queue, ["behind"], "3 tasks come first: of its priority, submitted earlier."),
    Case(
        "behind in every way",
        behind_in_every_way,
        ["behind"],
        "3 tasks come first: 1 in queues that are served first, 1 of better priority and 1 of its priority",
    ),
    Case("nearest where it is first", behind_at_one_of_two, ["next"], "one of 2 workers"),
    Case(
        "all are busy", busy, ["workers_busy"], "All 2 workers that can run it are busy: 2 tasks at a time, 2 in hand."
    ),
    Case("one is half busy", half_busy, ["next"], "Nothing is in its way"),
    Case("about to be claimed", idle, ["next"], "It has been ready for 2 s."),
    Case(
        "left alone by an idle worker",
        idle,
        ["worker_doubtful"],
        "is idle and could have claimed it for 1 min 30 s",
        1_090.0,
    ),
    Case("delayed", delayed, ["delayed"], "in 2 min 8 s."),
    Case(
        "delayed for ever",
        delayed_to(33_715 * 31_556_952.0),
        ["delayed"],
        "is not due until a time beyond any calendar, in 1.2e+07 d.",
    ),
    Case(
        "delayed beyond all numbers",
        delayed_to(1e300),
        ["delayed"],
        "is not due until a time beyond any calendar, in 1.2e+295 d.",
    ),
    Case("due again", delayed, ["next"], "ready for 1 s", 1_131.0),
    Case("backing off", failed_once, ["backing_off"], "Attempt 1 of 4 failed 1 s ago; the next one is not due until"),
    Case(
        "backing off after an error",
        failed_once,
        ["backing_off"],
        "(ValueError: no mail); the next one",
        evidence=Evidence(change=LastChange("task.retried", ERROR)),
    ),
    Case(
        "asked for later",
        asked_for_later,
        ["retry_after"],
        "asked to run again later: it is not due until",
        evidence=Evidence(change=LastChange("task.interrupted", {"worker": "w", "due": 1_061.0})),
    ),
    Case(
        "asked for a moment that has come",
        asked_for_later,
        ["returned", "next"],
        "by worker w (it asked to run again later). That attempt does not count.",
        1_062.0,
        Evidence(
            change=LastChange("task.interrupted", {"worker": "w", "due": 1.0, "reason": "it asked to run again later"})
        ),
    ),
    Case(
        "returned by an expiry",
        lost_by_expiry,
        ["returned", "next"],
        "1 s ago: worker w on far held it and was silent for its whole lease",
        evidence=Evidence(change=LastChange("worker.expired", {"worker": "w"}), hosts={"w": "far"}),
    ),
    Case(
        "given back",
        given_back,
        ["returned", "next"],
        "given back 1 s ago by worker w (draining). That attempt does not count.",
        evidence=Evidence(change=LastChange("task.interrupted", {"worker": "w", "reason": "draining"})),
    ),
    Case(
        "two workers ended with it",
        suspected,
        ["suspect"],
        "It waits its turn alone: two workers ended while they had it. A worker takes only one such task at a time; "
        "there is 1 other.",
    ),
    Case(
        "one attempt left",
        suspected_before_its_last_attempt,
        ["suspect"],
        "a worker ended while it had it, and one attempt is left. A worker takes only one such task at a time.",
    ),
    Case("claimed", held, ["claimed", "lease"], "Worker w on host-w (pid 7) claimed it at"),
    Case("alive", held, ["claimed", "lease"], "last sign of life was 1 s ago; its lease is 10 s", evidence=SILENT),
    Case("silent, alone", held, ["claimed", "worker_silent"], "No other worker is running", 1_020.0, SILENT),
    Case(
        "silent, with others",
        held_with_another_there,
        ["claimed", "worker_silent"],
        "silent for 19 s, longer than its lease of 10 s: it is gone, stopped, or cut off from the journal. Another",
        1_020.0,
        SILENT,
    ),
    Case(
        "silent in the last attempt",
        held_last_attempt,
        ["claimed", "worker_silent", "last_attempt"],
        "attempt 1 of 1",
        1_020.0,
        SILENT,
    ),
    Case("succeeded", succeeded, ["succeeded"], "after 1 attempt on worker w"),
    Case(
        "succeeded, and how long it ran",
        succeeded,
        ["succeeded"],
        "the last one ran 20.0 ms",
        evidence=Evidence(change=LastChange("task.succeeded", {"ran_ms": 20})),
    ),
    Case("collected", collected, ["succeeded"], "Its result was collected."),
    Case(
        "failed",
        failed,
        ["failed"],
        "ValueError: no mail. It is a dead letter",
        evidence=Evidence(change=LastChange("task.failed", ERROR)),
    ),
    Case(
        "killed its worker",
        killed_its_worker,
        ["failed"],
        "as if the task had killed it",
        evidence=Evidence(change=LastChange("worker.expired", {"worker": "w"})),
    ),
    Case("revoked", revoked, ["revoked"], "It was revoked"),
    Case(
        "revoked: who did it and why",
        revoked,
        ["revoked"],
        "ago by ada@host (order 7 was cancelled), after 1 attempt: it does not run any more.",
        evidence=Evidence(change=LastChange("task.revoked", {"by": "ada@host", "reason": "order 7 was cancelled"})),
    ),
    Case(
        "purged",
        purged,
        ["purged"],
        "It was purged from the dead letters",
        evidence=Evidence(change=LastChange("task.purged", {"by": "ada@host"})),
    ),
    Case(
        "lapsed",
        lapsed,
        ["lapsed"],
        "no worker began it within its time to live",
        evidence=Evidence(change=LastChange("task.lapsed", {"reason": "expired"})),
    ),
    Case(
        "paused",
        paused,
        ["queue_paused"],
        "2 s ago by ada@host (flood): no worker claims anything of it until `journeyman resume mail`.",
        evidence=Evidence(pause={"by": "ada@host", "reason": "flood"}),
    ),
    Case("paused and delayed", paused_and_delayed, ["queue_paused", "delayed"], "no worker claims anything of it"),
    Case("resumed", resumed, ["next"], "Nothing is in its way"),
    Case("behind none of a paused queue", behind_a_paused_queue, ["next"], "Nothing is in its way"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_answer_follows_from_the_state(case: Case) -> None:
    story = Story()
    case.tell(story)
    findings = explain(story.view, "t", case.now, case.evidence)
    assert [finding.code for finding in findings] == case.codes
    assert case.words in " ".join(finding.sentence for finding in findings)
    assert all(finding.sentence.endswith(".") and "\n" not in finding.sentence for finding in findings)


def test_unknown_id_is_answered_with_its_candidates() -> None:
    story = Story()
    story.submitted("0192f6b1-5c7a-7d31-9f60-3a2b8a4c9d11")
    assert explain(story.view, "nothing-like-it", 1_000.0)[0].facts == {"suggestions": []}
    for typed in ("…8a4c9d11", "8A4C9D11", "0192f6b1"):
        assert explain(story.view, typed, 1_000.0)[0] == Finding(
            "unknown",
            f"The journal knows no task {typed}. Did you mean 0192f6b1-5c7a-7d31-9f60-3a2b8a4c9d11?",
            {"suggestions": ["0192f6b1-5c7a-7d31-9f60-3a2b8a4c9d11"]},
        )


def test_refused_events_are_counted_by_kind_and_worker() -> None:
    story = Story()
    held(story)
    story.joined("v")
    for _ in range(2):
        story.tell("task.succeeded", 1_001.0, task="t", worker="v", claim=0)
    refusals = tuple(RefusedEvent("task.succeeded", "v", 1_001.0, "stale outcome") for _ in range(2))
    told = explain(story.view, "t", 1_002.0, Evidence(refusals=refusals, hosts={"v": "far"}))[-1]
    assert told.code == "refused"
    assert told.sentence == (
        "2 events about it were refused: 2 times task.succeeded from worker v on far, last 1 s ago (stale outcome)."
    )
    assert told.facts["refused"] == 2


def test_workers_of_another_partition_do_not_count() -> None:
    story = Story()
    story.submitted("t")
    Story(partition=1, view=story.view).joined("w")
    assert [finding.code for finding in explain(story.view, "t", 1_002.0)] == ["no_worker"]


@pytest.mark.parametrize(
    ("timeout", "codes"), [(500, ["claimed", "over_time", "lease"]), (60_000, ["claimed", "lease"])]
)
def test_overdue_running_task_is_reported_as_over_its_time(timeout: float, codes: list[str]) -> None:
    story = Story()
    held(story)
    claimed_at = story.view.live["t"].changed_at
    findings = explain(story.view, "t", claimed_at + 2.5, Evidence(signs={"w": claimed_at + 2}, timeout=timeout))
    assert [finding.code for finding in findings] == codes
    if "over_time" in codes:
        assert (
            findings[1].sentence
            == "It has not ended, though its time of 0.5 s was over 2 s ago: `journeyman revoke t` gives it up."
        )


def test_differing_clocks_show_no_negative_spans() -> None:
    story = Story()
    held(story)
    findings = explain(story.view, "t", 990.0, SILENT)
    told = " ".join(finding.sentence for finding in findings)
    assert "0.0 ms ago" in told
    assert " -" not in told


def test_evidence_is_read_as_of_the_requested_time(tmp_path: Path) -> None:
    async def answers() -> tuple[list[Finding], list[Finding], list[Finding]]:
        async with AsyncJournal(f"sqlite:///{tmp_path / 'shop.db'}") as journal:
            joined = {"worker": "w", "host": "near", "pid": 7, "lease_ms": 10_000, "tasks": ["send"], "slots": 1}
            await journal.append("worker.joined", joined, "w")
            submission = {"task": "t", "task_name": "send", "max_retries": 0, "timeout": 1_000}
            await journal.append("task.submitted", submission, "t")
            claim = await journal.append("task.claimed", {"task": "t", "worker": "w"}, "t")
            stale = await journal.append("task.succeeded", {"task": "t", "worker": "w", "claim": 0}, "t")
            outcome = {"task": "t", "worker": "w", "claim": claim.offset, **ERROR}
            failure = await journal.append("task.failed", outcome, "t")
            told = []
            for moment in (claim.timestamp, stale.timestamp, None):
                found = await view_as_of(journal, moment)
                evidence = await gather(journal, found, "t")
                assert evidence.timeout == (1_000 if moment else None)
                told.append(explain(found.view, "t", moment or failure.timestamp + 1, evidence))
            return told[0], told[1], told[2]

    claimed, refused, over = asyncio.run(answers())
    assert [finding.code for finding in claimed] == ["claimed", "lease"]
    assert "last sign of life was 0.0 ms ago" in claimed[1].sentence
    assert [finding.code for finding in refused] == ["claimed", "lease", "refused"]
    assert "task.succeeded from worker w on near" in refused[-1].sentence
    assert [finding.code for finding in over] == ["failed", "refused"]
    assert "ValueError: no mail" in over[0].sentence
    assert "on worker w on near" in over[0].sentence
