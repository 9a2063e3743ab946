"""The parts of the answers of `why`: findings, the evidence they rest on, and shared wording."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from ..labels import Labels
from ..limits import FINDING_TEXT_CHARS_MAX
from ..state.state import SessionState, TaskState
from .chain import Chain, ChainLink
from .wording import age, error_in, number, short_id


class Finding(msgspec.Struct, frozen=True):
    """One answer: `code` for tools, `sentence` for people, `facts` that it rests on."""

    code: str
    sentence: str
    facts: dict[str, Any] = {}


class RefusedEvent(NamedTuple):
    """An event about the task that was refused: its name, the worker it came from, and when."""

    name: str
    worker: str
    at: float
    reason: str


class LastChange(NamedTuple):
    """The event that brought the task into its state: its name and context."""

    name: str
    context: Mapping[str, Any]


class Evidence(NamedTuple):
    """Facts from the journal beyond the state; every part may be missing.

    `task`: the task, if the state has forgotten it. `signs`: each session's last sign of life, by worker. `hosts`:
    where workers run or ran, for display. `timeout`: how long the task may run, in ms, if it is claimed. `pause`: the
    context of the event that paused the task's queue. `chain`: the chain that it belongs to; the task itself may be a
    link that is not submitted yet. `linked`: the lock that is linked to it, as its submission names it.
    `progress`: the context of the running task's last report. `labels`: its summary and tags. `worker`: a sentence
    about the worker of that id, if there is no such task.
    """

    task: TaskState | None = None
    change: LastChange | None = None
    refusals: tuple[RefusedEvent, ...] = ()
    signs: Mapping[str, float] = {}
    hosts: Mapping[str, str] = {}
    timeout: float | None = None
    pause: Mapping[str, Any] = {}
    chain: Chain | None = None
    linked: Mapping[str, Any] = {}
    progress: Mapping[str, Any] = {}
    labels: Labels = Labels()
    worker: str = ""

    def named(self) -> TaskState | ChainLink | None:
        """Return what has the name and the queue of the task: the task, or the link that is not submitted yet."""
        return self.task if self.task is not None or self.chain is None else self.chain.link


NOTHING: Final = Evidence()


def name_of(worker: str, session: SessionState | None, evidence: Evidence) -> str:
    """Return a worker's name for display: the end of its id, host and pid if they are known."""
    label = f"worker {short_id(worker)}"
    if session is not None:
        return f"{label} on {session.host} (pid {session.pid})"
    return f"{label} on {evidence.hosts[worker]}" if evidence.hosts.get(worker) else label


def attempt_of(task: TaskState) -> str:
    """Return the number of the attempt, and of how many."""
    return f"{task.attempts}" if task.max_retries is None else f"{task.attempts} of {task.max_retries + 1}"


def error_of(change: LastChange | None, what: str = "exception") -> str:
    """Return the exception of an outcome, as `error_in` does, shortened."""
    said = error_in(change.context, what) if change is not None else ""
    return said if len(said) <= FINDING_TEXT_CHARS_MAX else f"{said[:FINDING_TEXT_CHARS_MAX]}…"


def silent_for(session: SessionState, now: float, evidence: Evidence) -> float | None:
    """Return how long a session that holds claims has been silent, if that is longer than its lease; else None."""
    sign = evidence.signs.get(session.worker)
    if sign is None or not session.claims:
        return None
    return now - sign if now - sign > session.lease_ms / 1_000 else None


def worker_silent(session: SessionState, now: float, evidence: Evidence, *, others: bool) -> Finding:
    """Return the finding on a session silent for longer than its lease; `others`: whether a worker can take over."""
    silence = silent_for(session, now, evidence) or 0.0
    who = name_of(session.worker, session, evidence)
    then = (
        "Another worker takes over what it holds as soon as it is certain of that."
        if others
        else "No other worker is running, so its tasks are not taken over: start one, `journeyman worker PACKAGE`."
    )
    holds = f"{capital(who)} holds {number(len(session.claims), 'task')}"
    sentence = (
        f"{holds} and has been silent for {age(silence)}, longer than "
        f"its lease of {in_seconds(session.lease_ms / 1_000)}: it is gone, stopped, or cut off from the journal. {then}"
    )
    facts = {"worker": session.worker, "host": session.host, "pid": session.pid, "silent_seconds": silence}
    return Finding("worker_silent", sentence, {**facts, "others": others})


def in_seconds(seconds: float) -> str:
    """Format a lease."""
    return f"{seconds:g} s"


def capital(words: str) -> str:
    """Capitalise the first letter."""
    return words[:1].upper() + words[1:]
