"""Explain why a waiting task is not claimed: not due, no worker for it, others before it, workers busy or silent.

An idle worker appends nothing, so the journal does not distinguish it from one that died while it was idle. Findings
about such a worker are therefore conditional.
"""

from collections.abc import Iterable
from shlex import quote
from typing import Final, NamedTuple

from ..limits import DOUBT_SECONDS
from ..state.selection import Selection, rank_in, waiting_since
from ..state.state import SessionState, TaskState
from ..state.transitions import State
from ..state.view import TaskView
from .findings import Evidence, Finding, LastChange, attempt_of, capital, error_of, name_of, silent_for, worker_silent
from .wording import age, clock, listing, number, signature


def why_waiting(view: TaskView, task: TaskState, now: float, evidence: Evidence) -> list[Finding]:
    """Return why a task waits; first how it returned to the queue, unless by a failure."""
    returned = _how_it_returned(task, now, evidence)
    return [*returned, *_obstacles(view, task, now, evidence)]


def _obstacles(view: TaskView, task: TaskState, now: float, evidence: Evidence) -> list[Finding]:
    due = [_not_due(task, now, evidence)] if task.due > now else []
    if view.is_paused(task.partition, task.queue):
        return [_paused(view, task, now, evidence), *due]
    capable = _capable(view, task)
    if not capable:
        return [*due, _no_worker(view, task)]
    if due:
        return due
    alone = [_alone(view, task)] if task.suspect else []
    found = [*alone, *_ahead(view, task, now, capable), *_busy_or_silent(view, task, now, capable, evidence)]
    return found or [_next(task, now, capable)]


def _how_it_returned(task: TaskState, now: float, evidence: Evidence) -> list[Finding]:
    """Report how a task that was claimed before returned to the queue, unless by a failure."""
    change = evidence.change
    if change is None or change.name not in _RETURNS or (_asked_for(change) and task.due > now):
        return []  # `_not_due` says so
    worker = str(change.context.get("worker", ""))
    by = name_of(worker, None, evidence) if worker else "a worker"
    reason = f" ({change.context['reason']})" if change.context.get("reason") else ""
    signed = signature(change.context)
    sentence = _RETURNS[change.name].format(by=by, ago=age(now - task.changed_at), reason=reason, signed=signed)
    facts = {"event": change.name, "worker": worker or None, "at": task.changed_at}
    return [Finding("returned", sentence, facts)]


_RETURNS: Final = {
    "worker.expired": "It came back to the queue {ago} ago: {by} held it and was silent for its whole lease. "
    "That attempt counts.",
    "worker.left": "It came back to the queue {ago} ago, when {by} left. That attempt does not count.",
    "task.interrupted": "It was given back {ago} ago by {by}{reason}. That attempt does not count.",
    "task.requeued": "It was requeued from the dead letters {ago} ago{signed}, its attempts forgotten.",
}


def _paused(view: TaskView, task: TaskState, now: float, evidence: Evidence) -> Finding:
    """Report that its queue is paused, which outweighs all else until it is resumed."""
    at = view.paused[task.partition][task.queue].at
    said = signature(evidence.pause)
    sentence = (
        f"Its queue {task.queue} has been paused since {clock(at, now)}, {age(now - at)} ago{said}: no worker claims "
        f"anything of it until `journeyman resume {quote(task.queue)}`."
    )
    facts = {"queue": task.queue, "since": at, **{name: evidence.pause.get(name) for name in ("by", "reason")}}
    return Finding("queue_paused", sentence, facts)


def _not_due(task: TaskState, now: float, evidence: Evidence) -> Finding:
    until = f"until {clock(task.due, now)}, in {age(task.due - now)}"
    facts = {"due": task.due, "seconds": task.due - now, "attempts": task.attempts}
    change = evidence.change
    if _asked_for(change):
        ended = f"Its last run ended {age(now - task.changed_at)} ago and asked to run again later"
        return Finding("retry_after", f"{ended}: it is not due {until}. That attempt does not count.", facts)
    retried = change is not None and change.name == "task.retried"
    if not retried and not task.attempts:
        return Finding("delayed", f"It was submitted with a delay and is not due {until}.", facts)
    error = error_of(change) if retried else ""
    failed = f"Attempt {attempt_of(task)} failed {age(now - task.changed_at)} ago" + (f" ({error})" if error else "")
    more = f"`journeyman history {quote(task.id)}` shows each attempt."
    sentence = f"{failed}; the next one is not due {until}. {more}"
    return Finding("backing_off", sentence, {**facts, "error": error or None})


def _asked_for(change: LastChange | None) -> bool:
    """Return whether a task waits since it has raised `RetryAfter`, without using an attempt."""
    return change is not None and change.name == "task.interrupted" and "due" in change.context


def _capable(view: TaskView, task: TaskState) -> list[SessionState]:
    """Return the live sessions that may claim the task; a worker that did not list its tasks may."""
    sessions = view.sessions.get(task.partition, {}).values()
    return [session for session in sessions if session.may_claim(task.kind)]


def _served(session: SessionState) -> list[str]:
    """Return the queues it serves, with the tasks to which it narrows them."""
    narrowed = session.selection.tasks if session.selection is not None else {}
    only = {queue: f" (there only {listing(names)})" for queue, names in narrowed.items()}
    return [f"{queue}{only.get(queue, '')}" for queue in session.queues or ()]


def _no_worker(view: TaskView, task: TaskState) -> Finding:
    """Report that no worker can run it: none is running, none knows it, or none serves its queue."""
    sessions = list(view.sessions.get(task.partition, {}).values())
    if not sessions:
        sentence = "No worker is running: none has joined this journal, or all have left it."
        return Finding("no_worker", f"{sentence} `journeyman worker PACKAGE` starts one.")
    named = [session for session in sessions if session.knows_name(task.name)]
    knowing = [session for session in named if session.knows(task.kind)]
    running = f"{number(len(sessions), 'worker is', 'workers are')} running"
    if named and not knowing:
        return _other_function(task, named)
    if not knowing:
        known = sorted({name for session in sessions for name in session.tasks or ()})
        they = "it knows" if len(sessions) == 1 else "they know"
        sentence = f"No live worker knows the task {task.name}: {running}, and {they} {listing(known)}."
        sentence += " Start one with the package that holds it: `journeyman worker PACKAGE`."
        return Finding("no_worker_knows", sentence, {"task": task.name, "workers": len(sessions), "known": known})
    served = sorted({queue for session in knowing for queue in _served(session)})
    who = "the worker that knows it serves" if len(knowing) == 1 else f"the {len(knowing)} workers that know it serve"
    sentence = f"No live worker serves its queue {task.queue} for the task {task.name}: {who} {listing(served)}."
    sentence += f" `journeyman worker PACKAGE --queues {quote(task.queue)}` starts one that does."
    return Finding("queue_unserved", sentence, {"queue": task.queue, "workers": len(sessions), "served": served})


def _other_function(task: TaskState, named: list[SessionState]) -> Finding:
    """Report that the workers with a task of that name have another function under it."""
    others = sorted({function for session in named for function in session.accepts[task.name].functions})
    who = "the only live worker" if len(named) == 1 else f"each of the {len(named)} live workers"
    sentence = (
        f"It was made for the function {task.kind.function}, and {who} that knows a task {task.name} has "
        f"{listing(others)} under that name, so it is left alone. Start a worker that has its function. Give the two "
        f"tasks names of their own, @task(broker, name=…); if the function was renamed or moved, give the new one "
        f"aliases=[{task.kind.function!r}]."
    )
    return Finding("other_function", sentence, {"function": task.kind.function, "others": others})


def _alone(view: TaskView, task: TaskState) -> Finding:
    """Report that it is a suspect: it may have killed its workers, and does not run beside another suspect."""
    others = len(view.suspects) - 1
    ended = "a worker ended while it had it, and one attempt is left"
    if task.expiries > 1:
        ended = f"{'two' if task.expiries == 2 else task.expiries} workers ended while they had it"
    sentence = f"It waits its turn alone: {ended}. A worker takes only one such task at a time"
    sentence += f"; there {'is' if others == 1 else 'are'} {number(others, 'other')}." if others else "."
    return Finding("suspect", sentence, {"expiries": task.expiries, "others": others})


class _Ahead(NamedTuple):
    """How many tasks one worker would claim before this one.

    Those in queues, or of names, that it prefers; of better priority; submitted earlier; of lower priority, if ageing
    has let them overtake.
    """

    preferred: int
    better: int
    earlier: int
    aged: int

    @property
    def total(self) -> int:
        return self.preferred + self.better + self.earlier + self.aged


def _ahead(view: TaskView, task: TaskState, now: float, capable: Iterable[SessionState]) -> list[Finding]:
    """Report how many tasks come first, for the worker with the fewest."""
    profiles = {(repr(session.claims_from), session.tasks, session.more_tasks > 0): session for session in capable}
    fewest = min((_count_ahead(view, task, now, session) for session in profiles.values()), key=lambda each: each.total)
    if not fewest.total:
        return []
    counted = [
        (fewest.preferred, "in queues that are served first"),
        (fewest.better, "of better priority"),
        (fewest.earlier, "of its priority, submitted earlier"),
        (fewest.aged, "of lower priority, waiting for longer"),
    ]
    parts = [(f"{count:,} " if count < fewest.total else "") + words for count, words in counted if count]
    comes = "comes" if fewest.total == 1 else "come"
    sentence = f"{number(fewest.total, 'task')} {comes} first: {listing(parts)}. `journeyman status` shows the queues."
    return [Finding("behind", sentence, {**fewest._asdict(), "total": fewest.total})]


def _count_ahead(view: TaskView, task: TaskState, now: float, session: SessionState) -> _Ahead:
    selection = session.claims_from
    ranks = selection.ranks()
    rank, stands, place = rank_in(ranks, task.queue, task.name), _stands(selection, task), _place(task)
    preferred = better = earlier = aged = 0
    for other in view.live.values():
        if other.state is not State.READY or other.due > now or other is task or not session.knows(other.kind):
            continue
        if not selection.serves(other.queue, other.name) or view.is_paused(other.partition, other.queue):
            continue
        if selection.order == "fair" and other.queue != task.queue:
            continue  # other queues have their own turns
        other_rank = rank_in(ranks, other.queue, other.name)
        if other_rank != rank:
            preferred += other_rank < rank
        elif other.priority == task.priority:
            earlier += _place(other) < place
        elif _stands(selection, other) < stands:
            better += other.priority < task.priority
            aged += other.priority > task.priority
    return _Ahead(preferred, better, earlier, aged)


def _stands(selection: Selection, task: TaskState) -> tuple[float, float]:
    return selection.stands(task.priority, waiting_since(task.submitted_at, task.due))


def _place(task: TaskState) -> tuple[float, int]:
    return task.submitted_at, task.submitted


def _busy_or_silent(
    view: TaskView, task: TaskState, now: float, capable: list[SessionState], evidence: Evidence
) -> list[Finding]:
    """Report why the workers that could claim it do not."""
    silent = [session for session in capable if silent_for(session, now, evidence) is not None]
    rest = [session for session in capable if session not in silent]
    findings = [worker_silent(session, now, evidence, others=bool(rest)) for session in silent]
    held = _claims(view)
    busy = [session for session in rest if session.slots and held.get(session.worker, 0) >= session.slots]
    if rest and len(busy) == len(rest):
        claims, slots = sum(held[each.worker] for each in busy), sum(each.slots for each in busy)
        one = len(busy) == 1
        who = "The worker that can run it is" if one else f"All {len(busy)} workers that can run it are"
        sentence = f"{who} busy: {number(slots, 'task')} at a time, {claims:,} in hand."
        sentence += " More workers, or one with more --threads, would take it sooner: `journeyman worker --help`."
        return [*findings, Finding("workers_busy", sentence, {"claims": claims, "slots": slots})]
    idle = [session for session in rest if not held.get(session.worker)]
    if idle and _ready_for(task, now) >= DOUBT_SECONDS:
        findings.append(_doubt(task, now, idle, evidence))
    return findings


def _claims(view: TaskView) -> dict[str, int]:
    """Return how many tasks each worker holds, in all partitions."""
    held: dict[str, int] = {}
    for session in view.all_sessions():
        held[session.worker] = held.get(session.worker, 0) + len(session.claims)
    return held


def _ready_for(task: TaskState, now: float) -> float:
    return now - max(task.due, task.changed_at, task.submitted_at)


def _doubt(task: TaskState, now: float, idle: list[SessionState], evidence: Evidence) -> Finding:
    """Report idle workers that leave a due task alone."""
    first = idle[0]
    who = name_of(first.worker, first, evidence)
    who += f" and {number(len(idle) - 1, 'other')}" if len(idle) > 1 else ""
    could = "is idle and could have claimed it" if len(idle) == 1 else "are idle and could have claimed it"
    sentence = (
        f"{capital(who)} {could} for {age(_ready_for(task, now))}. If the process is gone, it died while it "
        "was idle; if it is there, it cannot reach the journal, is stopped, or its child processes do not start: its "
        "log and --health say which."
    )
    facts = {"workers": [each.worker for each in idle], "seconds": _ready_for(task, now)}
    return Finding("worker_doubtful", sentence, facts)


def _next(task: TaskState, now: float, capable: list[SessionState]) -> Finding:
    who = "the worker" if len(capable) == 1 else f"one of {len(capable)} workers"
    ready = age(_ready_for(task, now))
    sentence = f"Nothing is in its way: {who} that can run it claims it next. It has been ready for {ready}."
    return Finding("next", sentence, {"workers": len(capable), "seconds": _ready_for(task, now)})
