"""Trace the waiting and the attempts of tasks, and the commits of their outcomes, with OpenTelemetry.

A first attempt belongs to the trace of its submission. A retry may come hours later: it is the root of a trace of its
own, with a link to the submission. The outcome of a traced attempt holds its `traceparent`, so that the worker loop can
trace the commit, also for a child process, and readers of the log find the trace.

`TRACING.tracer` is None unless the program has configured a provider when its worker starts; that is one comparison for
each task.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ...journal.row_decoder import RowDecoder
from ...tasks.message import Message
from ...tasks.message_encoding import decode_message
from ...tasks.tracing import attributes_of, traceparent_of, tracer
from ..limits import SPANS_FLUSH_SECONDS_MAX
from ..logs import TRACEPARENT
from .around_run import FORKS

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

_SECOND: Final = 1_000_000_000
_BEFORE: Final = b',"traceparent":"'
_TRACEPARENT_LENGTH: Final = 55  # the format of the W3C


class Tracing:
    """The tracer of this process; None if it traces nothing."""

    tracer: "Tracer | None" = None


TRACING: Final = Tracing()


def begin_tracing() -> None:
    """Trace from now on if the program has configured a provider; called once its tasks' modules are imported."""
    TRACING.tracer = tracer()


def flush_spans() -> None:
    """Export ended spans, before a process that runs no exit handlers ends."""
    if TRACING.tracer is None:
        return
    from opentelemetry import trace

    flush: Callable[[int], Any] | None = getattr(trace.get_tracer_provider(), "force_flush", None)
    if flush is not None:
        flush(round(SPANS_FLUSH_SECONDS_MAX * 1_000))


class _Submitted(msgspec.Struct, gc=False):
    timestamp: float


_submitted: Final = RowDecoder(_Submitted)


@contextmanager
def attempt(message: object, row: bytes, begun: int | None = None) -> Iterator[None]:
    """Trace one attempt of the task submitted in `row`, and the waiting before a first one.

    `begun` is when it began, in ns since the epoch; None for now.
    """
    from opentelemetry import trace
    from opentelemetry.context import Context, attach, detach
    from opentelemetry.propagate import extract

    used, forks = TRACING.tracer, FORKS[0]
    assert used is not None, "the caller has looked"
    assert isinstance(message, Message), "a traced run is never a plain call"
    begun = time.time_ns() if begun is None else begun
    parent = extract(message.trace or {}, Context())
    origin = trace.get_current_span(parent).get_span_context()
    links: list[trace.Link] = []
    if message.retries:
        parent = trace.set_span_in_context(trace.INVALID_SPAN, parent)
        links = [trace.Link(origin)] if origin.is_valid else []
    elif origin.is_valid:
        submitted = min(int(_submitted.decode(row).timestamp * _SECOND), begun)
        attributes = attributes_of(message, "receive")
        used.start_span(f"wait {message.queue}", parent, attributes=attributes, start_time=submitted).end(begun)
    attributes = attributes_of(message, "process") | {"journeyman.attempt": message.retries + 1}
    span = used.start_span(
        f"run {message.task_name}", parent, trace.SpanKind.CONSUMER, attributes, links, start_time=begun
    )
    message.__dict__[TRACEPARENT] = traceparent_of(span)
    token = attach(trace.set_span_in_context(span, parent))
    try:
        yield
    except BaseException as error:
        span.record_exception(error)
        span.set_status(trace.StatusCode.ERROR, type(error).__name__)
        raise
    finally:
        detach(token)
        if FORKS[0] == forks:  # in a process that the task has forked, the span is still its parent's
            span.end()


def trace_killed(row: bytes, prior_attempts: int, error: BaseException, seconds: float) -> None:
    """Trace an attempt of `seconds` that was ended with its process, which therefore has reported no span."""
    try:
        message = decode_message(row)
    except (msgspec.MsgspecError, ValueError):
        return  # nothing has run that could be traced
    message.retries = prior_attempts
    with suppress(type(error)), attempt(message, row, time.time_ns() - round(seconds * _SECOND)):
        raise error


def trace_field(message: Message | None) -> bytes:
    """Return the beginning of an outcome's specific part, which says the trace of its attempt; empty for none."""
    said = None if message is None else message.__dict__.get(TRACEPARENT)
    return b"" if said is None else b'%b%b"' % (_BEFORE, said.encode())


def trace_commits(outcomes: Iterable[tuple[str, bytes]], begun: float) -> None:
    """Trace the append, begun at that monotonic time and acknowledged now, as the commit of each of its outcomes.

    An outcome is the name of its event and its specific part.
    """
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    used, ended, w3c = TRACING.tracer, time.time_ns(), TraceContextTextMapPropagator()
    assert used is not None, "the caller has looked"
    started = ended - round((time.monotonic() - begun) * _SECOND)
    for name, detail in outcomes:
        if detail.startswith(_BEFORE):
            said = detail[len(_BEFORE) :][:_TRACEPARENT_LENGTH].decode()
            parent = w3c.extract({"traceparent": said})
            attributes = {"messaging.system": "journeyman", "journeyman.outcome": name}
            used.start_span("commit", parent, attributes=attributes, start_time=started).end(ended)
