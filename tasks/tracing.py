"""Trace submissions with OpenTelemetry, where the program has configured it.

Nothing here imports OpenTelemetry on its own: a program that has configured a provider has imported it already. Without
one a submission costs one look into `sys.modules`.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from .message import Message, checked_message

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

_NAME: Final = "journeyman"
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)


def tracer() -> "Tracer | None":
    """Return this program's tracer; None if it has configured no provider of traces."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider | trace.NoOpTracerProvider):
        return None
    made: Tracer = provider.get_tracer(_NAME)
    return made


@contextmanager
def submitting(tracer: "Tracer", message: Message) -> Iterator[None]:
    """Trace the submission of a message, which then carries the context of its span to the worker."""
    from opentelemetry.trace import SpanKind

    checked_message(message)
    attributes = attributes_of(message, "send")
    with tracer.start_as_current_span(f"submit {message.task_name}", kind=SpanKind.PRODUCER, attributes=attributes):
        _mark(message, carrier())
        yield


@contextmanager
def submitting_all(tracer: "Tracer", messages: Iterable[Message]) -> Iterator[Iterator[Message]]:
    """Trace the submission of many messages as one span; yields the messages, each with the span's context."""
    from opentelemetry.trace import SpanKind

    with tracer.start_as_current_span("submit many", kind=SpanKind.PRODUCER) as span:
        carried, count = carrier(), 0

        def marked() -> Iterator[Message]:
            nonlocal count
            for message in messages:
                _mark(checked_message(message), carried)
                count += 1
                yield message

        yield marked()
        span.set_attributes({"messaging.system": _NAME, "messaging.batch.message_count": count})


def _mark(message: Message, carried: dict[str, str] | None) -> None:
    """Put a context into a message, unless it has one: submitting it again continues the same trace."""
    if message.trace is None:
        message.trace = carried


def carrier() -> dict[str, str] | None:
    """Return the current context as the program's propagator writes it, `traceparent` as a rule; None if empty."""
    from opentelemetry.propagate import inject

    carried: dict[str, str] = {}
    inject(carried)
    return carried or None


def trace_in(headers: Mapping[str, str]) -> dict[str, str] | None:
    """Return what a message is to carry of a request's headers (names in lower case), by the W3C's `traceparent`.

    None without a valid one, and if this program traces: then its own span becomes the parent.
    """
    said = headers.get("traceparent", "")
    if not _TRACEPARENT.fullmatch(said) or tracer() is not None:
        return None
    state = headers.get("tracestate")
    return {"traceparent": said} if state is None else {"traceparent": said, "tracestate": state}


def attributes_of(message: Message, operation: str) -> dict[str, Any]:
    """Return the attributes of a span about a message, by the semantic conventions of messaging."""
    return {
        "messaging.system": _NAME,
        "messaging.operation.type": operation,
        "messaging.destination.name": message.queue,
        "messaging.message.id": message.uuid,
        "journeyman.task": message.task_name,
    }


def traceparent_of(span: "Span") -> str:
    """Return the context of a span, as the W3C's `traceparent`."""
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"
