"""Explain the state of a task in sentences for operators.

Pure: the caller passes `now` (the present, or the moment in question) and, as `Evidence`, facts that the state does not
hold, such as the error of the last attempt. Each finding has a stable code, a sentence, and the facts of the sentence,
for tools.
"""

from collections.abc import Mapping
from shlex import quote
from typing import Any

from ..limits import FINDING_TEXT_CHARS_MAX, SUGGESTED_IDS_SHOWN, SUGGESTION_CHARS_MIN
from ..progress import progress_in_words
from ..state.state import SessionState, TaskState
from ..state.transitions import State
from ..state.view import TaskView
from .findings import (
    NOTHING,
    Evidence,
    Finding,
    RefusedEvent,
    attempt_of,
    capital,
    error_of,
    in_seconds,
    name_of,
    silent_for,
    worker_silent,
)
from .lock_findings import linked_lock
from .why_chain import links_behind, why_not_submitted
from .why_schedule import schedule_behind, why_schedule, why_tick
from .why_waiting import why_waiting
from .wording import SUBMISSIONS_SHOWN, age, clock, number, signature, span


def explain(view: TaskView, task_id: str, now: float, evidence: Evidence = NOTHING) -> list[Finding]:
    """Return why the task is in its state at `now` (seconds since the epoch); the most important finding first."""
    task = view.find(task_id) or evidence.task
    chain = evidence.chain
    if task is None:
        scheduled = why_schedule(view, task_id, now) or why_tick(view, task_id, now)
        return scheduled or [_unknown(view, task_id, evidence.worker) if chain is None else why_not_submitted(chain)]
    if task.state is State.READY:
        findings = why_waiting(view, task, now, evidence)
    elif task.state is State.CLAIMED:
        findings = _claimed(view, task, now, evidence)
    else:
        findings = [_over(task, now, evidence), *(links_behind(chain, task) if chain is not None else ())]
    if said := evidence.labels.in_words():
        findings.append(Finding("labels", f"Its labels: {said}.", evidence.labels.fields()))
    findings += schedule_behind(view, task_id, now)
    return [*findings, *linked_lock(view, task, evidence.linked), *_refused(task, now, evidence)]


def _unknown(view: TaskView, task_id: str, worker: str) -> Finding:
    states: tuple[Mapping[str, TaskState], ...] = (view.live, view.dead)
    close = [known for tasks in states for known in tasks if _is_part(task_id, known)][:SUGGESTED_IDS_SHOWN]
    sentence = f"The journal knows no task {task_id}."
    if worker:
        return Finding("unknown", f"{sentence} {worker}", {"suggestions": []})
    if close:
        return Finding("unknown", f"{sentence} Did you mean {' or '.join(close)}?", {"suggestions": close})
    sentence += (
        f" Ids are case-sensitive. Is it the right journal, and was the submission acknowledged? {SUBMISSIONS_SHOWN}."
    )
    return Finding("unknown", sentence, {"suggestions": []})


def _is_part(typed: str, known: str) -> bool:
    typed = typed.strip("…. ").lower()
    return len(typed) >= SUGGESTION_CHARS_MIN and (known.lower().endswith(typed) or known.lower().startswith(typed))


def _claimed(view: TaskView, task: TaskState, now: float, evidence: Evidence) -> list[Finding]:
    session = view.session(task.partition, task.worker)
    who = name_of(task.worker, session, evidence)
    sentence = (
        f"{capital(who)} claimed it at {clock(task.changed_at, now)}, {age(now - task.changed_at)} ago: "
        f"attempt {attempt_of(task)}."
    )
    facts: dict[str, Any] = {"worker": task.worker, "since": task.changed_at, "attempt": task.attempts}
    facts["claim"] = f"{task.partition}:{task.claim}"
    if session is None:
        return [Finding("claimed", sentence, facts)]
    claimed = Finding("claimed", sentence, {**facts, "host": session.host, "pid": session.pid})
    others = any(
        other is not session and silent_for(other, now, evidence) is None
        for other in view.sessions.get(task.partition, {}).values()
    )
    if silent_for(session, now, evidence) is not None:
        findings = [claimed, worker_silent(session, now, evidence, others=others)]
        if task.exhausted:
            findings.append(Finding("last_attempt", "It was the last attempt: if the worker is gone, the task fails."))
        return findings
    return [claimed, *_reported(evidence), *_over_time(task, now, evidence), _alive(session, now, evidence)]


def _reported(evidence: Evidence) -> list[Finding]:
    """Report what the running task has said of its progress."""
    if not evidence.progress:
        return []
    words = progress_in_words(evidence.progress)
    shortened = words if len(words) <= FINDING_TEXT_CHARS_MAX else f"{words[:FINDING_TEXT_CHARS_MAX]}…"
    return [Finding("progress", f"It last reported: {shortened}.", dict(evidence.progress))]


def _over_time(task: TaskState, now: float, evidence: Evidence) -> list[Finding]:
    """Report a task past its timeout; counted from its claim, since the log does not record when it was begun."""
    timeout = None if evidence.timeout is None else evidence.timeout / 1_000
    over = 0.0 if timeout is None else now - task.changed_at - timeout
    if timeout is None or over <= 0:
        return []
    sentence = (
        f"It has not ended, though its time of {in_seconds(timeout)} was over {age(over)} ago: "
        f"`journeyman revoke {quote(task.id)}` gives it up."
    )
    return [Finding("over_time", sentence, {"timeout_seconds": timeout, "over_seconds": over})]


def _alive(session: SessionState, now: float, evidence: Evidence) -> Finding:
    lease, sign = session.lease_ms / 1_000, evidence.signs.get(session.worker)
    heard = f"last sign of life was {age(now - sign)} ago" if sign is not None else "last sign of life is not known"
    sentence = f"The worker's {heard}; its lease is {in_seconds(lease)}, and every event it appends renews it."
    return Finding("lease", sentence, {"lease_seconds": lease, "last_sign": sign})


def _over(task: TaskState, now: float, evidence: Evidence) -> Finding:
    at = f"at {clock(task.changed_at, now)}, {age(now - task.changed_at)} ago"
    attempts = f"after {number(task.attempts, 'attempt')}"
    facts: dict[str, Any] = {"at": task.changed_at, "attempts": task.attempts, "worker": task.worker or None}
    by = f" on {name_of(task.worker, None, evidence)}" if task.worker else ""
    if task.state is State.SUCCEEDED:
        ran = evidence.change.context.get("ran_ms") if evidence.change is not None else None
        took = f"; the last one ran {span(ran / 1_000)}" if isinstance(ran, int | float) else ""
        collected = " Its result was collected." if task.collected else ""
        return Finding("succeeded", f"It succeeded {at}, {attempts}{by}{took}.{collected}", facts)
    if task.state is State.REVOKED:
        return _taken_out(at, attempts, facts, evidence)
    error = error_of(evidence.change)
    lost = evidence.change is not None and evidence.change.name == "worker.expired"
    cause = "its worker was silent for the whole lease, as if the task had killed it" if lost else error
    facts["error"] = cause or None
    if hook := error_of(evidence.change, "hook"):
        facts["hook_error"] = hook
        cause += f". It was not retried, as its do_retry or retry_at failed too ({hook})"
    said = f": {cause}." if cause else "."
    again = (
        f"It is a dead letter and runs again only if it is requeued: `journeyman requeue {quote(task.id)}`. "
        f"`journeyman dlq show {quote(task.id)}` shows its arguments and each attempt."
    )
    sentence = f"It failed for good {at}, {attempts}{by}{said} {again}"
    return Finding("failed", sentence, facts)


def _taken_out(at: str, attempts: str, facts: dict[str, Any], evidence: Evidence) -> Finding:
    """Report a task that was revoked, or purged from the dead letters."""
    change = evidence.change
    signed = signature(change.context) if change is not None else ""
    if change is not None and change.name == "task.purged":
        sentence = f"It was purged from the dead letters {at}{signed}: it does not run any more."
        return Finding("purged", sentence, facts)
    if change is not None and change.name == "task.lapsed":
        sentence = f"It lapsed {at}, {attempts}: no worker began it within its time to live. It does not run any more."
        return Finding("lapsed", sentence, facts)
    return Finding("revoked", f"It was revoked {at}{signed}, {attempts}: it does not run any more.", facts)


def _refused(task: TaskState, now: float, evidence: Evidence) -> list[Finding]:
    """Report the refused events about it: how many, their names, and their workers."""
    if not task.refused:
        return []
    groups: dict[tuple[str, str], list[RefusedEvent]] = {}
    for refusal in evidence.refusals:
        groups.setdefault((refusal.name, refusal.worker), []).append(refusal)
    parts = [_group(name, worker, refusals, now, evidence) for (name, worker), refusals in groups.items()]
    sentence = f"{number(task.refused, 'event')} about it {'was' if task.refused == 1 else 'were'} refused"
    sentence += f": {'; '.join(parts)}." if parts else "."
    facts = {"refused": task.refused, "events": [refusal._asdict() for refusal in evidence.refusals]}
    return [Finding("refused", sentence, facts)]


def _group(name: str, worker: str, refusals: list[RefusedEvent], now: float, evidence: Evidence) -> str:
    who = f" from {name_of(worker, None, evidence)}" if worker else ""
    last = refusals[-1]
    times = f"{len(refusals)} times " if len(refusals) > 1 else ""
    return f"{times}{name}{who},{' last' if times else ''} {age(now - last.at)} ago ({last.reason})"
