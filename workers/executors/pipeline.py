"""Run one task: a flat pipeline over one value, with a closed set of outcomes."""

import asyncio
import contextvars
import functools
import threading
import time
from collections.abc import Hashable, Mapping
from contextlib import nullcontext, suppress
from typing import Any, Final, Protocol, cast

import msgspec
import orjson

from ...journal.errors import HistoryTruncated
from ...journal.event import Draft
from ...journal.limits import TIMESTAMP_SECONDS_MAX
from ...journal.row_decoder import RowDecoder, Whole
from ...tasks.definition import Task
from ...tasks.errors import NoTasksFoundError, Overdue
from ...tasks.limits import TASK_TIMEOUT_MS_DEFAULT
from ...tasks.message import Message
from ...tasks.message_encoding import decode_message
from ...tasks.plain_call import PlainCall, plain_call
from ...tasks.progress import REPORTER
from ...tasks.retry_after import RetryAfter
from ...tasks.state import names
from ...tasks.state.transitions import State
from ..logs import CURRENT
from .around_run import FORKS, await_with_hooks, end_fork, run_with_hooks
from .exception_text import details
from .next_link import link_after
from .reported import Reported
from .result_encoding import encode_result
from .tracing import TRACING, attempt, trace_field


class SessionLease:
    """One session of this worker.

    `acknowledged_at` is the monotonic time at which its last acknowledged append was begun, `start_until` the one after
    which no job is started. `spent`: it was opened once, and an id is good for one session. `reported` takes what
    its jobs report of their progress.
    """

    __slots__ = ("acknowledged_at", "encoded", "partition", "reported", "spent", "start_until", "worker")

    def __init__(self, worker: str, partition: int, reported: Reported | None = None) -> None:
        self.worker = worker
        self.encoded = worker.encode()
        self.partition = partition
        self.reported = Reported() if reported is None else reported
        self.acknowledged_at = time.monotonic()
        self.start_until = 0.0
        self.spent = False

    def renew(self, begun: float, seconds: float) -> None:
        """Record an acknowledged append that was begun at `begun`; jobs may start for `seconds` from then."""
        self.acknowledged_at = begun
        self.start_until = begun + seconds


class ClaimedTask(Protocol):
    """What an executor reads of a claimed task: in the worker its `TaskState`, in a child process an assignment."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def name(self) -> str:
        """The name of its function."""

    @property
    def state(self) -> State:
        """Its state: `REVOKED` ends its run."""

    @property
    def claim(self) -> int:
        """The claim that holds it now; -1 for none."""


class Job(msgspec.Struct, eq=False, gc=False):
    """A task this worker has claimed: `claim` is its fencing token, `row` the record of its submission.

    A lone job, without others in hand, has `over`, a held lock: the thread that runs it appends its outcome at once,
    and then releases the lock. `claimed` is the draft of its claim, if this worker has just made it.
    """

    state: ClaimedTask
    lease: SessionLease
    claim: int
    row: bytes
    prior_attempts: int
    over: "threading.Lock | None" = None
    claimed: Draft | None = None

    @property
    def may_start(self) -> bool:
        """Whether the task is still claimed by this job, and its lease cannot have expired."""
        return self.may_start_at(time.monotonic())

    def may_start_at(self, monotonic: float) -> bool:
        """As `may_start`, at that time."""
        return self.state.claim == self.claim and monotonic < self.lease.start_until


class Ending(msgspec.Struct, frozen=True, gc=False):
    """How a run ended: the event's name, the specific part of its encoded context, and when to run again.

    `large` is the encoded result if it is to be split over events of its own.
    `error` is the exception, for the hooks of the task. `link` is the encoded submission of the next link of its chain.
    `plain`: its message had no field that a `PlainCall` lacks.
    """

    name: str
    detail: bytes = b""
    due: float = 0.0
    large: bytes = b""
    error: Any = None
    link: bytes = b""
    plain: bool = False


class Outcome(msgspec.Struct, gc=False):
    """The outcome of a job; `large` is its encoded result if it is to be split over events of its own.

    `written` is what the job's thread has appended already, None for nothing. `seconds` is how long it ran, if a child
    process reports it. `error` is the exception of a failed run, if the task has hooks and it ran in this process;
    `link` the encoded context of the submission that goes with it, empty for none. `plain` as in `Ending`.
    """

    job: Job
    name: str
    detail: bytes = b""
    due: float = 0.0
    written: Any = None
    large: bytes = b""
    error: Any = None
    link: bytes = b""
    plain: bool = False
    seconds: float = 0.0

    def context(self) -> bytes:
        """Return the event's context: the task, the worker, the fencing token, and the specific part."""
        job = self.job
        if job.claimed is not None:  # its context has the same task and worker
            return b'%b,"claim":%d%b}' % (job.claimed.context[:-1], job.claim, self.detail)
        about = orjson.dumps(job.state.id), job.lease.encoded
        return b'{"task":%b,"worker":"%b","claim":%d%b}' % (*about, job.claim, self.detail)


Tasks = Mapping[str, Task[Any, Any]]
_UNTRACED: Final = nullcontext()
_PLAIN_OP: Final = Task.op  # needs only the arguments of a message, unless the function takes the message itself


def run(job: Job, tasks: Tasks, started: float | None = None) -> Outcome:
    """Run a job to its outcome; no exception of a task escapes. `started` is the present time (monotonic)."""
    started = time.monotonic() if started is None else started
    if not job.may_start_at(started):
        return unstarted(job)
    reports = job.lease.reported, job
    return _outcome(job, execute(job.state.name, job.row, job.prior_attempts, tasks, None, reports, started))


async def run_coroutine(job: Job, tasks: Tasks, started: float | None = None) -> Outcome:
    """As `run`, for the job of a coroutine function; only a cancellation from outside escapes."""
    started = time.monotonic() if started is None else started
    if not job.may_start_at(started):
        return unstarted(job)
    task = tasks[job.state.name]
    called: Message | PlainCall | None = None
    forks = FORKS[0]
    try:
        called = plain_call(job.row) if _is_plain(task) else None
        if called is None:
            called = _message_for(task, job.row, job.prior_attempts, (job.lease.reported, job))
        current = CURRENT.set(called)
        try:
            if isinstance(called, PlainCall):
                result = await task.function(*called.args, **called.kwargs)
            else:
                with _UNTRACED if TRACING.tracer is None else attempt(called, job.row):
                    result = await (await_with_hooks(task, called) if task.hooks_around_run else task.op(called))
        finally:
            CURRENT.reset(current)
        if FORKS[0] != forks:
            end_fork(None)
        return _outcome(job, _succeeded(task, called, result, started))
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        if FORKS[0] != forks:
            end_fork(error)
        message = _whole(called, job.row, job.prior_attempts)
        return _outcome(job, _failed(task, message, error, _milliseconds_since(started)))


def _outcome(job: Job, ending: Ending) -> Outcome:
    large, error, link = ending.large, ending.error, ending.link
    return Outcome(job, ending.name, ending.detail, ending.due, None, large, error, link, ending.plain)


def unstarted(job: Job) -> Outcome:
    """The outcome of a job that could not be started in time."""
    return Outcome(job, names.INTERRUPTED, b',"reason":"the lease may have run out before the task was started"')


def execute(
    name: str,
    row: bytes,
    prior_attempts: int,
    tasks: Tasks,
    context: contextvars.Context | None = None,
    reports: tuple[Reported, Hashable] | None = None,
    started: float | None = None,
) -> Ending:
    """Run the task `name` for the submission in `row` to its ending, in `context`: None for an empty one.

    So the next task does not see context variables that this one sets, such as the precision of `decimal`. A process
    that the task has forked ends here, when the task's function returns in it. `reports` is what takes the reports of
    the task's progress, and the run by which it knows them. `started` as in `run`.
    """
    started = time.monotonic() if started is None else started
    task = tasks.get(name)
    if task is None:
        return _unknown(name)
    called: Message | PlainCall | None = None
    forks = FORKS[0]
    try:
        called = plain_call(row) if _is_plain(task) else None
        if called is None:
            called = _message_for(task, row, prior_attempts, reports)
        run_it = _run_as_current if TRACING.tracer is None else functools.partial(_run_traced, row)
        result = (context or contextvars.Context()).run(run_it, task, called)
        if FORKS[0] != forks:
            end_fork(None)
        return _succeeded(task, called, result, started)
    except BaseException as error:  # SystemExit of a task is a failure of the task, not the end of its worker
        if FORKS[0] != forks:
            end_fork(error)
        return _failed(task, _whole(called, row, prior_attempts), error, _milliseconds_since(started))


def _is_plain(task: Task[Any, Any]) -> bool:
    """Whether a run of the task needs the arguments of its message alone; a traced run needs the whole message."""
    return not task.uses_message and type(task).op is _PLAIN_OP and TRACING.tracer is None


def _message_for(
    task: Task[Any, Any], row: bytes, prior_attempts: int, reports: tuple[Reported, Hashable] | None
) -> Message:
    """Decode the message of a run, which reports its progress to `reports` if the task can ask it to."""
    message = read_message(row, prior_attempts, task)
    if reports is not None and task.uses_message:
        take_reports(message, *reports)
    return message


def _whole(called: Message | PlainCall | None, row: bytes, prior_attempts: int) -> Message | None:
    """The message of a run that has failed; None if it could not be read."""
    return read_message(row, prior_attempts) if isinstance(called, PlainCall) else called


def take_reports(message: Message, reported: Reported, run: Hashable) -> None:
    """Have what a message reports of its progress go to `reported`, as that of `run`."""
    message.__dict__[REPORTER] = functools.partial(reported.put, run)


def _run_as_current(task: Task[Any, Any], called: Message | PlainCall) -> Any:
    CURRENT.set(called)
    if isinstance(called, PlainCall):
        return task.function(*called.args, **called.kwargs)
    return run_with_hooks(task, called) if task.hooks_around_run else task.op(called)


def _run_traced(row: bytes, task: Task[Any, Any], called: Message | PlainCall) -> Any:
    with attempt(called, row):
        return _run_as_current(task, called)


def _unknown(name: str) -> Ending:
    error = NoTasksFoundError(
        f"the child process has no task {name!r}, though its worker has. Correct the task's module, and requeue it"
    )
    return Ending(names.FAILED, b',"exception":%b' % orjson.dumps(details(error)))


def failure(job: Job, tasks: Tasks, error: BaseException, seconds: float) -> Outcome:
    """The outcome of a job that was ended from outside, by its deadline or with the process that ran it."""
    message: Message | None = None
    with suppress(msgspec.MsgspecError, ValueError):  # a submission that cannot be read is not tried again
        message = read_message(job.row, job.prior_attempts)
    return _outcome(job, _failed(tasks[job.state.name], message, error, seconds * 1_000))


def unanswered(job: Job, error: BaseException, seconds: float) -> Outcome:
    """The outcome of a job that was ended from outside, and whose `do_retry` and `retry_at` took too long."""
    late = TimeoutError("do_retry and retry_at have not answered in time, so it is not tried again")
    said = orjson.dumps(details(error)), orjson.dumps(details(late))
    return Outcome(job, names.FAILED, b',"ran_ms":%.3f,"exception":%b,"hook":%b' % (seconds * 1_000, *said))


def gone(job: Job) -> Outcome:
    """The outcome of a job that was requeued when its submission was no longer in the log."""
    detail = {
        "name": HistoryTruncated.__name__,
        "text": "the task was requeued, but its submission has been removed by retention: submit it anew",
        "traceback": "",
    }
    return Outcome(job, names.FAILED, b',"exception":' + orjson.dumps(detail))


def undecodable(job: Job, error: Exception) -> Outcome:
    """The outcome of a job whose submission cannot be decoded: it would fail each time."""
    return Outcome(job, names.FAILED, b',"exception":' + orjson.dumps(details(error)))


def timeout_of(row: bytes) -> float:
    """Return the timeout of the submission in `row`, in seconds; the default if it cannot be read: then it fails."""
    try:
        return _timeout_decoder.decode(row).context.timeout / 1_000
    except msgspec.MsgspecError:
        return TASK_TIMEOUT_MS_DEFAULT / 1_000


def read_message(row: bytes, prior_attempts: int, task: Task[Any, Any] | None = None) -> Message:
    """Decode a message; with `task` also the arguments that a serializer has written: otherwise they stay as they are.

    If the arguments cannot be read the task has failed, and is not tried again.
    """
    message = decode_message(row)
    message.retries = prior_attempts
    if message.serializer and task is not None:
        task.restore(message)
    return message


def _succeeded(task: Task[Any, Any], called: Message | PlainCall, result: Any, started: float) -> Ending:
    fields, large = encode_result(task, result)
    detail = b',"ran_ms":%.3f%b' % ((time.monotonic() - started) * 1_000, fields)
    if isinstance(called, PlainCall):
        return Ending(names.SUCCEEDED, detail, 0.0, large, None, b"", True)
    if TRACING.tracer is not None:
        detail = trace_field(called) + detail
    link = link_after(task, called, result, fields) if called.callback_message_data is not None else None
    if link is None:
        return Ending(names.SUCCEEDED, detail, 0.0, large)
    return Ending(names.SUCCEEDED, b'%b,"next":%b' % (detail, orjson.dumps(link.id)), link=link.context)


def _failed(task: Task[Any, Any], message: Message | None, error: BaseException, ran_ms: float) -> Ending:
    if issubclass(type(error), Overdue):  # by its type: an instance may override `__class__`, or raise there
        error = cast("Overdue", error).as_timeout_error()
    detail = b',"ran_ms":%.3f,"exception":%b' % (ran_ms, orjson.dumps(details(error)))
    if TRACING.tracer is not None:
        detail = trace_field(message) + detail
    after = cast("RetryAfter", error) if issubclass(type(error), RetryAfter) else None
    if after is not None and not after.uses_attempt:
        detail += b',"due":%.6f,"reason":"it asked to run again later"' % after.due
        return Ending(names.INTERRUPTED, detail, after.due, error=error if task.hooks else None)
    try:
        if message is not None and task.do_retry(message, error):
            due = _due(task, message) if after is None else after.due
            return Ending(names.RETRIED, detail + b',"due":%.6f' % due, due, error=error if task.hooks else None)
    except BaseException as broken:  # the failure of a hook must not lose the outcome
        detail += b',"hook":%b' % orjson.dumps(details(broken))
    return Ending(names.FAILED, detail, error=error if task.hooks else None)


def _due(task: Task[Any, Any], message: Message) -> float:
    """Return when it may run again, to the microsecond, so that this worker's fold agrees with readers of the log."""
    due = round(float(task.retry_at(message)), 6)
    if not -TIMESTAMP_SECONDS_MAX <= due <= TIMESTAMP_SECONDS_MAX:  # false for NaN, too
        raise ValueError(
            f"retry_at must return seconds since the epoch, up to {TIMESTAMP_SECONDS_MAX:,.0f}, got {due!r}"
        )
    return due


class _Timeout(msgspec.Struct, gc=False):
    timeout: Whole = TASK_TIMEOUT_MS_DEFAULT


class _TimeoutEvent(msgspec.Struct, gc=False):
    context: _Timeout


_timeout_decoder: Final = RowDecoder(_TimeoutEvent)


def _milliseconds_since(started: float) -> float:
    return (time.monotonic() - started) * 1_000
