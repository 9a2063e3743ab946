"""What the answers to "why?" are made of: findings, the evidence they rest on, and the words that several share."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ..state.state import SessionState, TaskState
from .wording import age, error_in, number, short_id


class Finding(NamedTuple):
    """One answer: `code` for tools, `sentence` for people, `facts` that it rests on."""

    code: str
    sentence: str
    facts: dict[str, Any] = {}  # noqa: RUF012 - never changed


class Refusal(NamedTuple):
    """An event about the task that was refused: its name, the worker it came from, and when."""

    name: str
    worker: str
    at: float
    reason: str


class Turn(NamedTuple):
    """The event that brought the task into its state: its name and what it says."""

    name: str
    context: Mapping[str, Any]


class Evidence(NamedTuple):
    """What the journal says beyond the state; every part may be missing.

    `task`: the task, where the state has forgotten it. `signs`: when each session was last heard of, by worker.
    `hosts`: where workers run or ran, for people. `timeout`: how long the task may run, in ms, if it is claimed.
    `pause`: what the event says that has paused the task's queue.
    """

    task: TaskState | None = None
    turn: Turn | None = None
    refusals: tuple[Refusal, ...] = ()
    signs: Mapping[str, float] = {}
    hosts: Mapping[str, str] = {}
    timeout: float | None = None
    pause: Mapping[str, Any] = {}


NOTHING: Final = Evidence()
_ERROR_CHARS_MAX: Final = 300


def name_of(worker: str, session: SessionState | None, evidence: Evidence) -> str:
    """A worker for people: host and pid where they are known, and the end of its id."""
    label = f"worker {short_id(worker)}"
    if session is not None:
        return f"{label} on {session.host} (pid {session.pid})"
    return f"{label} on {evidence.hosts[worker]}" if evidence.hosts.get(worker) else label


def attempt_of(task: TaskState) -> str:
    """Which attempt it is, of how many."""
    return f"{task.attempts}" if task.max_retries is None else f"{task.attempts} of {task.max_retries + 1}"


def error_of(turn: Turn | None, what: str = "exception") -> str:
    """The exception an outcome tells of, as `error_in` has it, and in short."""
    said = error_in(turn.context, what) if turn is not None else ""
    return said if len(said) <= _ERROR_CHARS_MAX else f"{said[:_ERROR_CHARS_MAX]}…"


def silent_for(session: SessionState, now: float, evidence: Evidence) -> float | None:
    """How long a session that holds claims has been silent, where that is longer than its lease."""
    sign = evidence.signs.get(session.worker)
    if sign is None or not session.claims:
        return None
    return now - sign if now - sign > session.lease_ms / 1_000 else None


def worker_silent(session: SessionState, now: float, evidence: Evidence, *, others: bool) -> Finding:
    """A session that has been silent for longer than its lease; `others`: whether anybody could take over."""
    silence = silent_for(session, now, evidence) or 0.0
    who = name_of(session.worker, session, evidence)
    then = (
        "Another worker takes over what it holds as soon as it is certain of that."
        if others
        else "No other worker is running, so nobody takes over what it holds: start one, `journeyman worker PACKAGE`."
    )
    holds = f"{capital(who)} holds {number(len(session.claims), 'task')}"
    sentence = (
        f"{holds} and has been silent for {age(silence)}, longer than "
        f"its lease of {in_seconds(session.lease_ms / 1_000)}: it is gone, stopped, or cut off from the journal. {then}"
    )
    facts = {"worker": session.worker, "host": session.host, "pid": session.pid, "silent_seconds": silence}
    return Finding("worker_silent", sentence, {**facts, "others": others})


def in_seconds(seconds: float) -> str:
    """A lease for people."""
    return f"{seconds:g} s"


def capital(words: str) -> str:
    """Words as a sentence begins with them."""
    return words[:1].upper() + words[1:]
