"""The life of a task as one table: state × event → move. An event without a move is refused and changes nothing.

The rules, in the order in which they are checked:

1. A pair without a move is refused. A task that was never submitted, or that the fold has forgotten, is in state
   `UNKNOWN`: an ended one `ENDED_TASK_EVENTS` offsets after its end, a dead letter behind `DEAD_LETTERS_KEPT` others.
2. A move that requires a *session* is refused unless the event's worker has a live session in the task's partition.
3. A move that requires the *token* is refused unless the event's `claim` is the position of the task's current claim:
   the claim's position is the fencing token, so a former owner's outcome is refused whenever it arrives. An event by
   hand (`task.acknowledged`, `task.rejected`, `task.rescheduled`) need not name one; if it does, the same holds.
   `task.amended` names one if the task is claimed: only its holder amends a task that runs.
4. A move that *carries* the submission is refused unless the event contains the fields of it that the fold needs. It is
   for a task that the fold has forgotten, while the log holds it.
5. `task.lapsed` is refused unless the task was submitted with a time to live.
6. An accepted move changes the state and the count of attempts. Attempts are counted at the claim, so that a task that
   kills its worker uses them up too; a claim that is given back is not counted.

The submission of a chain's link has a rule of its own: see `chains.py`. A link becomes known by it alone, so for the
table it is a submission as any other.

`RETURNED` and `EXHAUSTED` are no events of their own: they are the effect of an accepted `worker.expired` on each claim
of the session, by whether the task has attempts left. `HANDED_BACK` is the effect of an accepted `worker.left`.

The fold reads no clock: delays and backoff are *due* by the clock of the worker that wants to claim.
"""

from enum import IntEnum
from typing import Final, NamedTuple

from . import names


class State(IntEnum):
    """The states of a task."""

    UNKNOWN = 0
    READY = 1
    CLAIMED = 2
    SUCCEEDED = 3
    FAILED = 4
    REVOKED = 5


class Attempt(IntEnum):
    """The effect of a move on the count of attempts."""

    KEPT = 0
    COUNTED = 1
    TAKEN_OFF = -1
    FORGOTTEN = 2
    ADDED = 3


class Token(IntEnum):
    """Whether an event must name the current claim of the task."""

    UNUSED = 0
    REQUIRED = 1
    IF_NAMED = 2


class Transition(NamedTuple):
    """The effect of an accepted event on a task, and what it requires."""

    to: State
    session: bool = False
    token: Token = Token.UNUSED
    attempt: Attempt = Attempt.KEPT
    carries: bool = False


RETURNED: Final = "returned"
EXHAUSTED: Final = "exhausted"
HANDED_BACK: Final = "handed back"

FINAL_STATES: Final = frozenset({State.SUCCEEDED, State.FAILED, State.REVOKED})
EVENTS: Final = (*names.TASK_EVENTS, RETURNED, EXHAUSTED, HANDED_BACK)

TRANSITIONS: Final[dict[State, dict[str, Transition]]] = {
    State.UNKNOWN: {
        names.SUBMITTED: Transition(State.READY),
        names.REQUEUED: Transition(State.READY, attempt=Attempt.FORGOTTEN, carries=True),
        names.PURGED: Transition(State.REVOKED, carries=True),
    },
    State.READY: {
        names.CLAIMED: Transition(State.CLAIMED, session=True, attempt=Attempt.COUNTED),
        names.REVOKED: Transition(State.REVOKED),
        names.LAPSED: Transition(State.REVOKED),
        names.ACKNOWLEDGED: Transition(State.SUCCEEDED, token=Token.IF_NAMED),
        names.REJECTED: Transition(State.FAILED, token=Token.IF_NAMED),
        names.RESCHEDULED: Transition(State.READY, token=Token.IF_NAMED, attempt=Attempt.ADDED),
        names.NOTED: Transition(State.READY),
        names.AMENDED: Transition(State.READY, token=Token.IF_NAMED),
    },
    State.CLAIMED: {
        names.SUCCEEDED: Transition(State.SUCCEEDED, token=Token.REQUIRED),
        names.FAILED: Transition(State.FAILED, token=Token.REQUIRED),
        names.RETRIED: Transition(State.READY, token=Token.REQUIRED),
        names.INTERRUPTED: Transition(State.READY, token=Token.REQUIRED, attempt=Attempt.TAKEN_OFF),
        names.PROGRESSED: Transition(State.CLAIMED, token=Token.REQUIRED),
        names.RESULT_STORED: Transition(State.CLAIMED, token=Token.REQUIRED),
        names.REVOKED: Transition(State.REVOKED),
        names.ACKNOWLEDGED: Transition(State.SUCCEEDED, token=Token.IF_NAMED),
        names.REJECTED: Transition(State.FAILED, token=Token.IF_NAMED),
        names.RESCHEDULED: Transition(State.READY, token=Token.IF_NAMED),
        names.NOTED: Transition(State.CLAIMED),
        names.AMENDED: Transition(State.CLAIMED, token=Token.REQUIRED),
        RETURNED: Transition(State.READY),
        EXHAUSTED: Transition(State.FAILED),
        HANDED_BACK: Transition(State.READY, attempt=Attempt.TAKEN_OFF),
    },
    State.SUCCEEDED: {
        names.COLLECTED: Transition(State.SUCCEEDED),
        names.NOTED: Transition(State.SUCCEEDED),
    },
    State.FAILED: {
        names.REQUEUED: Transition(State.READY, attempt=Attempt.FORGOTTEN),
        names.PURGED: Transition(State.REVOKED),
        names.NOTED: Transition(State.FAILED),
    },
    State.REVOKED: {
        names.NOTED: Transition(State.REVOKED),
    },
}


def plain_moves(table: dict[State, dict[str, Transition]]) -> list[dict[str, tuple[State, bool, bool, Attempt]]]:
    """Return a table by the state's number, for the fold: a look-up through the enumeration would double its cost.

    The moves are plain tuples, as others are unpacked by way of an iterator.
    """
    return [
        {
            name: (move.to, move.session, move.token is Token.REQUIRED, move.attempt)
            for name, move in table[state].items()
        }
        for state in sorted(table)
    ]


PLAIN_MOVES: Final = plain_moves(TRANSITIONS)


def diagram() -> str:
    """The table as a Mermaid state diagram, for the documentation."""
    lines = ["stateDiagram-v2", "    [*] --> UNKNOWN"]
    for state, moves in TRANSITIONS.items():
        for event, move in moves.items():
            lines.append(f"    {state.name} --> {move.to.name}: {event}")
        if state in FINAL_STATES:
            lines.append(f"    {state.name} --> [*]")
    return "\n".join(lines)
