"""What remote workers report: success, failure, another attempt, progress; each with the fencing token of its claim.

A report is appended even if the worker no longer holds the task, so that history shows it; the log refuses it then, and
the answer says so.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import anyio
import msgspec
import orjson

from ...journal.event import Draft, refuse_deep
from ...journal.json_values import refuse_changed
from ...journal.limits import CONTEXT_DEPTH_MAX
from ...tasks.chains import next_link, submission_after
from ...tasks.errors import UnknownTaskError, ValidationError
from ...tasks.index.records import rows_at
from ...tasks.limits import PROGRESS_INTERVAL_SECONDS_MAX, RESULT_EVENT_BYTES_MAX
from ...tasks.linked_lock import link_in, release_link
from ...tasks.message import Message
from ...tasks.message_encoding import decode_message
from ...tasks.progress import encoded_progress, encoded_value, report_interval
from ...tasks.state import names
from ...tasks.state.routing import routing_key
from ...tasks.state.state import TaskState
from ...tasks.state.transitions import State
from ...tasks.state.view import TaskView
from ..backend import Backend
from ..limits import REMOTE_PROGRESS_REMEMBERED
from ..problems import Problem
from .appending import append_and_apply
from .bodies import Completion, Failure, Outcome, Progress, Retry
from .counts import RemoteCounts

Report = Completion | Failure | Retry
_ENDED: Final = (State.SUCCEEDED.name, State.FAILED.name)


class _Entry(NamedTuple):
    """A report as its events: the outcome itself and, of a chain, the submission of the next link."""

    report: Report
    drafts: Sequence[Draft]
    row: bytes


class Reports:
    """Takes the reports of remote workers for `backend`."""

    def __init__(self, backend: Backend, counts: RemoteCounts) -> None:
        self._backend = backend
        self._counts = counts
        # When (monotonic) the progress of a task was written last.
        self._progress: dict[str, float] = {}

    async def take(self, reports: Sequence[Report]) -> list[Outcome]:
        """Append outcomes in one append, and return what became of each; the first that is invalid refuses all."""
        entries = [await self._entry(report) for report in reports]
        drafts = [draft for entry in entries for draft in entry.drafts]
        events = iter(await append_and_apply(self._backend, drafts))
        outcomes = []
        for entry in entries:
            event = next(events)
            for _ in entry.drafts[1:]:
                next(events)
            outcome = _outcome(self._backend.view, entry.report, event.partition, event.offset)
            outcomes.append(outcome)
            self._counts.outcome(event.name, accepted=outcome.accepted)
            await self._release_lock(entry, outcome)
        return outcomes

    async def _release_lock(self, entry: _Entry, outcome: Outcome) -> None:
        """Release the lock that is linked to a task that has ended; if the service dies before, the lease ends it."""
        link = link_in(entry.row) if outcome.accepted and outcome.state in _ENDED else None
        if link is not None:
            await release_link(self._backend.journal, link, entry.report.task)

    async def _entry(self, report: Report) -> _Entry:
        partition, row, attempts = await self._submission(report)
        context: dict[str, Any] = {"task": report.task, "worker": report.worker, "claim": report.claim}
        if report.ran_ms is not None:
            context["ran_ms"] = report.ran_ms
        message = None
        if row:
            message = decode_message(row)
            message.retries = max(attempts - 1, 0)
        drafts = _DRAFTS[type(report)](report, message, context, partition)
        return _Entry(report, drafts, row)

    async def _submission(self, report: Report | Progress) -> tuple[int, bytes, int]:
        """Return a task's partition, the record of its submission (empty if it is not needed), and its attempts."""
        task = self._backend.view.find(report.task)
        if task is None:
            found = (await self._backend.lookup.find(report.task)).task
            if found is None:
                raise UnknownTaskError(f"the journal has no task {report.task!r}")
            return found.partition, b"", found.attempts
        if not _is_held(task, report):
            return task.partition, b"", task.attempts
        rows = await rows_at(await self._backend.journal.open(), task.partition, [task.submitted])
        return task.partition, rows.get(task.submitted, b""), task.attempts

    async def progress(self, report: Progress) -> Outcome:
        """Append a report of progress, unless the last one of the task was just now: `Problem` 429."""
        fields: dict[str, Any] = {}
        if report.done is not None or report.text:
            fields["progress"] = orjson.Fragment(encoded_progress(report.done or 0, report.total, report.text))
        if report.value is not msgspec.UNSET:
            fields["value"] = orjson.Fragment(encoded_value(report.value))
        if not fields:
            raise ValidationError("expected `done`, `text` or `value` in a report of progress, got none of them")
        self._bound_rate(report.task)
        partition, _, _ = await self._submission(report)
        context = {"task": report.task, "worker": report.worker, "claim": report.claim, **fields}
        draft = Draft(names.PROGRESSED, orjson.dumps(context), routing_key(report.task), partition)
        event = (await append_and_apply(self._backend, [draft]))[0]
        held = _is_held(self._backend.view.find(report.task), report)
        return _said(self._backend.view, report, event.partition, event.offset, accepted=held)

    def _bound_rate(self, task: str) -> None:
        now, known = anyio.current_time(), self._backend.view.find(task)
        interval = report_interval(time.time() - known.changed_at if known is not None else 0.0)
        if (early := self._progress.get(task, -math.inf) + interval - now) > 0:
            raise Problem(
                429,
                "too-often",
                f"the progress of this task is written every {interval:,.1f} s at most, the longer it runs the more "
                "rarely; send the latest report later",
                retry_after=math.ceil(early),
            )
        self._progress[task] = now
        if len(self._progress) > REMOTE_PROGRESS_REMEMBERED:
            oldest = now - PROGRESS_INTERVAL_SECONDS_MAX
            self._progress = {task: at for task, at in self._progress.items() if at > oldest}


def _completed(report: Any, message: Message | None, context: dict[str, Any], partition: int) -> list[Draft]:
    encoded = _encoded_result(report.result)
    context["result"] = orjson.Fragment(encoded)
    if message is None or message.callback_message_data is None:
        return [_draft(names.SUCCEEDED, context, report.task, partition)]
    link = next_link(message, message.callback_message_data, encoded)
    context["next"] = link.id
    submission = Draft(names.SUBMITTED, submission_after(link.context, report.claim), routing_key(link.id), partition)
    return [_draft(names.SUCCEEDED, context, report.task, partition), submission]


def _failed(report: Any, _message: Message | None, context: dict[str, Any], partition: int) -> list[Draft]:
    return [_draft(names.FAILED, context | {"exception": _exception(report)}, report.task, partition)]


def _retried(report: Any, message: Message | None, context: dict[str, Any], partition: int) -> list[Draft]:
    context["exception"] = _exception(report)
    now = time.time()
    if not report.uses_attempt:
        due = round(now + (report.delay_ms or 0) / 1_000, 6)
        context |= {"due": due, "reason": "it asked to run again later"}
        return [_draft(names.INTERRUPTED, context, report.task, partition)]
    if message is not None and message.max_retries is not None and message.retries >= message.max_retries:
        return [_draft(names.FAILED, context, report.task, partition)]
    wait = report.delay_ms
    if wait is None:
        wait = message.backoff.get(message.retries + 1) if message is not None else 0
    return [_draft(names.RETRIED, context | {"due": round(now + wait / 1_000, 6)}, report.task, partition)]


_DRAFTS: Final[Mapping[type, Callable[[Any, Message | None, dict[str, Any], int], list[Draft]]]] = {
    Completion: _completed,
    Failure: _failed,
    Retry: _retried,
}


def _draft(name: str, context: Mapping[str, Any], task: str, partition: int) -> Draft:
    return Draft(name, orjson.dumps(context), routing_key(task), partition)


def _encoded_result(result: Any) -> bytes:
    try:
        refuse_changed(result, "the result")
        encoded = orjson.dumps(result)
        refuse_deep(encoded, "it", CONTEXT_DEPTH_MAX - 1)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValidationError(f"the result cannot be stored: {error}") from None
    if len(encoded) > RESULT_EVENT_BYTES_MAX:
        raise Problem(
            413,
            "result-too-large",
            f"the result takes {len(encoded):,} bytes, the limit is {RESULT_EVENT_BYTES_MAX:,}: store it elsewhere and "
            "report a reference",
        )
    return encoded


def _exception(report: Failure | Retry) -> dict[str, str]:
    return {"name": report.error.name, "text": report.error.text, "traceback": report.error.traceback}


def _is_held(task: TaskState | None, report: Report | Progress) -> bool:
    return (
        task is not None
        and task.run.state is State.CLAIMED
        and task.claim == report.claim
        and task.worker == report.worker
    )


def _outcome(view: TaskView, report: Report, partition: int, offset: int) -> Outcome:
    return _said(view, report, partition, offset, accepted=view.last_change(partition, report.task) == offset)


def _said(view: TaskView, report: Report | Progress, partition: int, offset: int, *, accepted: bool) -> Outcome:
    state = view.state_of(partition, report.task)
    why = "" if accepted else _refusal(view.find(report.task), report, state)
    return Outcome(report.task, accepted, f"{partition}:{offset}", state.name, why)


def _refusal(task: TaskState | None, report: Report | Progress, state: State) -> str:
    if task is None or state is not State.CLAIMED:
        return f"the task is {state.name}: it was not held by the claim {report.claim} any more"
    return f"the task is held by the claim {task.claim} of the session {task.worker}, and not by {report.claim}"
