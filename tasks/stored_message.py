"""Rebuild a message as the journal has it: its submission, and what has become of it since."""

from .amended_row import amended, last_amendment
from .exception_details import ExceptionDetails
from .failure import exception_in
from .lookup import Found
from .message import Message
from .message_encoding import decode_message
from .state.state import UNTOUCHED
from .state.transitions import State
from .state.view import Verdict


def stored_message(found: Found) -> Message | None:
    """Return a new message of a task that was looked up; None if the log does not hold its submission.

    Its `retries` are the attempts that have ended, `updated_at` the time of the last change, `due` the time from which
    on it may run next, `metadata` those of the last `task.amended`, and `exception_details` those of its last failed
    attempt.
    """
    task = found.task
    row = found.trace.rows.get(task.submitted) if task is not None else None
    if task is None or row is None:
        return None
    amendment = found.trace.rows.get(last_amendment(found))
    message = decode_message(row if amendment is None else amended(row, amendment))
    if task.run is UNTOUCHED:
        return message
    message.retries = task.attempts if task.state is State.READY else max(task.attempts - 1, 0)
    message.updated_at = round(task.changed_at * 1_000)
    message.due = task.due
    message.expires = found.trace.view.expiries.get(task.id, 0.0)
    for offset in sorted(found.trace.rows, reverse=True):
        if found.verdict(offset) is Verdict.ACCEPTED:
            facts = exception_in(found.trace.rows[offset])
            if facts.name:
                message.exception_details = ExceptionDetails(facts.name, facts.text, facts.traceback)
                break
    return message
