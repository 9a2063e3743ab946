"""Reads nothing but the journal and decides whether the promises were kept.

The rules are written here a second time, as plainly as possible and without the product's own fold, so that a mistake
in one is not excused by the same mistake in the other.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import journeyman as jm

from torture.chain_ledger import ChainLedger
from torture.lock_ledger import LockLedger
from torture.outages import Outage, seconds_away
from torture.schedule_ledger import ScheduleLedger
from torture.verdicts import Expiry, Life, Verdicts, Wound

# A worker that was stopped has a moment to come to; what it appends then may cross the expiry.
SLACK_SECONDS = 1.0
# A takeover takes the lease, the time the journal was away, and at most so much more.
TAKEOVER_SLACK_SECONDS = 1.0
MAX_RETRIES_DEFAULT = 3
OUTCOMES = ("task.succeeded", "task.failed", "task.retried", "task.interrupted")


class Ledger:
    """One partition's tasks and sessions, worked out event by event."""

    def __init__(self, verdicts: Verdicts) -> None:
        self.verdicts = verdicts
        self.state: dict[str, str] = {}
        self.token: dict[str, int] = {}
        self.holder: dict[str, str] = {}
        self.highest_token: dict[str, int] = {}
        self.accepted_ends: Counter[str] = Counter()
        self.name: dict[str, str] = {}
        self.max_retries: dict[str, int | None] = {}
        self.attempts: Counter[str] = Counter()
        self.last: dict[str, int] = {}
        self.last_at: dict[str, float] = {}
        self.pid: dict[str, int] = {}
        self.lease: dict[str, float] = {}
        self.joined: dict[str, float] = {}
        self.chains = ChainLedger(verdicts)
        self.others = (LockLedger(verdicts, self.has_ended), ScheduleLedger(verdicts), self.chains)

    def has_ended(self, task: str) -> bool:
        return self.state.get(task) in ("succeeded", "failed")

    def take(self, event: jm.Event) -> None:
        context, counts = event.context, self.verdicts.counts
        counts["events"] += 1
        by = context.get("by") if event.name == "worker.expired" else context.get("worker")
        if by in self.last:
            self.last[by], self.last_at[by] = event.offset, event.timestamp
        for other in self.others:
            other.take(event)
        handler = getattr(self, event.name.replace(".", "_"), None)
        if handler is not None:
            handler(event, context)
        elif event.name in OUTCOMES:
            self.outcome(event, context)

    def task_submitted(self, event: jm.Event, context: dict[str, Any]) -> None:
        if not self.chains.admits(event):
            return
        if context["task"] in self.state:
            self.verdicts.counts["repeated submissions"] += 1
            return
        self.state[context["task"]] = "ready"
        self.name[context["task"]] = context["task_name"]
        self.max_retries[context["task"]] = context.get("max_retries", MAX_RETRIES_DEFAULT)

    def task_claimed(self, event: jm.Event, context: dict[str, Any]) -> None:
        task, worker = context["task"], context["worker"]
        if self.state.get(task) != "ready" or worker not in self.last:
            self.verdicts.counts["lost claims"] += 1
            return
        if event.offset <= self.highest_token.get(task, -1):
            self.verdicts.violations.append(f"token of {task} did not rise at {event.offset}")
        self.state[task], self.token[task], self.holder[task] = "claimed", event.offset, worker
        self.highest_token[task] = event.offset
        self.attempts[task] += 1
        self.verdicts.counts["attempts"] += 1

    def outcome(self, event: jm.Event, context: dict[str, Any]) -> None:
        task = context["task"]
        if self.state.get(task) != "claimed" or self.token[task] != context["claim"]:
            self.verdicts.counts["refused late outcomes"] += 1
            return
        del self.holder[task]
        if event.name in ("task.succeeded", "task.failed"):
            self.accepted_ends[task] += 1
            self.state[task] = event.name.removeprefix("task.")
            self.chains.succeeded(event)
        else:
            self.state[task] = "ready"
            self.attempts[task] -= event.name == "task.interrupted"
        self.verdicts.counts[event.name] += 1

    def worker_joined(self, event: jm.Event, context: dict[str, Any]) -> None:
        self.last[context["worker"]], self.last_at[context["worker"]] = event.offset, event.timestamp
        self.pid[context["worker"]] = context["pid"]
        self.lease[context["worker"]] = context.get("lease_ms", 0) / 1_000
        self.joined[context["worker"]] = event.timestamp
        self.verdicts.counts["sessions"] += 1

    def worker_expired(self, event: jm.Event, context: dict[str, Any]) -> None:
        worker = context["worker"]
        if worker not in self.last or self.last[worker] != context["last"]:
            self.verdicts.counts["refused expiries"] += 1
            return
        self.verdicts.counts["expired sessions"] += 1
        self.verdicts.takeover_seconds.append(event.timestamp - self.last_at[worker])
        held = worker in self.holder.values()
        self.verdicts.expiries.append(
            Expiry(self.pid[worker], self.last_at[worker], event.timestamp, self.lease[worker], held)
        )
        self._end(worker, event.timestamp, expired=True)

    def worker_left(self, event: jm.Event, context: dict[str, Any]) -> None:
        if context["worker"] in self.last:
            self._end(context["worker"], event.timestamp, expired=False)

    def close(self) -> None:
        """Note the sessions that are still open, and what is still owed."""
        for other in self.others:
            other.close()
        self.verdicts.lives += [Life(self.pid[worker], self.joined[worker]) for worker in self.last]

    def _end(self, worker: str, at: float, *, expired: bool) -> None:
        self.verdicts.lives.append(Life(self.pid[worker], self.joined[worker], at))
        for task in [task for task, holder in self.holder.items() if holder == worker]:
            del self.holder[task]
            self.attempts[task] -= not expired
            limit = self.max_retries[task]
            if limit is not None and self.attempts[task] > limit:  # it seems to kill its workers: that is its end
                self.state[task] = "failed"
                self.accepted_ends[task] += 1
                self.verdicts.counts["failed with their worker"] += 1
                continue
            self.state[task] = "ready"
            self.verdicts.counts["claims returned"] += 1
        del self.last[worker]


def check(
    events: Iterable[jm.Event], accepted: set[str], wounds: Sequence[Wound], outages: Sequence[Outage] = ()
) -> Verdicts:
    """Judge a journal: `accepted` are the tasks whose submission was acknowledged, `wounds` who was hurt, and when.

    `outages` are the times in which the journal was away.
    """
    verdicts = Verdicts()
    ledgers: dict[int, Ledger] = {}
    for event in events:
        ledgers.setdefault(event.partition, Ledger(verdicts)).take(event)
    for ledger in ledgers.values():
        ledger.close()
    _judge_tasks(list(ledgers.values()), accepted, verdicts)
    for expiry in verdicts.expiries:
        if not any(wound.explains(expiry, SLACK_SECONDS) for wound in wounds):
            silent = expiry.silent_until - expiry.silent_from
            verdicts.untimely.append(
                f"worker process {expiry.pid} was expired after {silent:.1f} s though nothing kept it from speaking"
            )
        _judge_takeover(expiry, wounds, outages, verdicts)
    for loss in verdicts.losses:
        verdicts.counts["locks lost"] += 1
        if not any(wound.explains(loss, SLACK_SECONDS) for wound in wounds):
            silent = loss.silent_until - loss.silent_from
            verdicts.untimely.append(
                f"process {loss.pid} lost {loss.lock} after {silent:.1f} s though nothing kept it from speaking"
            )
    return verdicts


def _judge_tasks(ledgers: Sequence[Ledger], accepted: set[str], verdicts: Verdicts) -> None:
    """Compare how each task ended with how it was to end."""
    state = {task: end for ledger in ledgers for task, end in ledger.state.items()}
    name = {task: each for ledger in ledgers for task, each in ledger.name.items()}
    for task in sorted(accepted - state.keys()):
        verdicts.violations.append(f"lost: {task} was accepted and is not in the journal")
    for task, end in state.items():
        wanted = "failed" if name[task] == "broken" else "succeeded"
        if end != wanted:
            verdicts.violations.append(f"{name[task]} {task} is {end}, not {wanted}")
    for ledger in ledgers:
        for task, count in ledger.accepted_ends.items():
            if count != 1:
                verdicts.violations.append(f"{task} has {count} accepted ends")
    verdicts.counts["tasks"] = len(state)


def _judge_takeover(expiry: Expiry, wounds: Sequence[Wound], outages: Sequence[Outage], verdicts: Verdicts) -> None:
    """Compare a takeover with its bound: the lease, the time the journal was away meanwhile, and a second.

    It counts from the moment from which on some other worker watched that was not hurt until the end.
    """
    watched_from = min(
        (
            max(life.joined, expiry.silent_from)
            for life in verdicts.lives
            if life.pid != expiry.pid
            and life.ended > expiry.silent_until
            and not _hurt(life.pid, wounds, max(life.joined, expiry.silent_from), expiry.silent_until)
        ),
        default=math.inf,
    )
    if not expiry.held or not expiry.lease or watched_from >= expiry.silent_until:
        return
    away = seconds_away(outages, watched_from, expiry.silent_until)
    overtime = expiry.silent_until - watched_from - expiry.lease - away
    verdicts.overtime_seconds.append(overtime)
    if overtime > TAKEOVER_SLACK_SECONDS:
        verdicts.untimely.append(
            f"worker process {expiry.pid} was expired {expiry.silent_until - watched_from:.1f} s after another began "
            f"to watch it: {overtime:.1f} s more than its lease and the {away:.1f} s in which the journal was away"
        )


def _hurt(pid: int, wounds: Sequence[Wound], begun: float, ended: float) -> bool:
    return any(wound.pid == pid and wound.begun <= ended and begun <= wound.ended for wound in wounds)
