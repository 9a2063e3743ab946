"""The events that are appended and replayed: about 250 bytes each, as in the queue's own history."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from journeyman.journal import Draft
from journeyman.journal.async_journal import EventItem
from journeyman.journal.event import draft, record
from journeyman.tasks import Message
from journeyman.tasks.message_encoding import encode_message

NAME: Final = "order.paid"
WRITER: Final = "0" * 32
WORKER: Final = "0199f3a2-7c00-7000-8000-000000000001"
# Tasks of one group in a history: their submissions, their claims and their outcomes make one append each.
GROUP_TASKS: Final = 250
TASK_EVENTS: Final = 3


def contexts(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Contexts as an application passes them."""
    return [
        {"order": number, "customer": f"customer-{number % 997:06d}", "amount": 129.95, "currency": "EUR", "lines": 3}
        for number in range(start, start + count)
    ]


def items(count: int, start: int = 0) -> list[EventItem]:
    """The items for `append_all`."""
    return [(NAME, context, f"order-{context['order']:08d}") for context in contexts(count, start)]


def encoded(events: Sequence[EventItem]) -> list[bytes]:
    """The same events as they stand in the log, byte for byte but for the writer's id and the time."""
    rows = []
    for number, item in enumerate(events, start=1):
        drafted = draft(*item)
        drafted.writer, drafted.seq = WRITER, number
        rows.append(record(drafted, 1_795_305_600.123456 + number / 1_000)[1])
    return rows


def history(events: int) -> Iterator[list[Draft]]:
    """A queue's history of that many events, or a few less: one session whose tasks are submitted, claimed, done.

    To be appended in this order, each list in one append, to an empty log of one partition: the outcomes name the
    offsets of their claims.
    """
    yield [Draft("worker.joined", b'{"worker":"%b","host":"h","pid":1,"lease_ms":15000}' % WORKER.encode(), WORKER)]
    offset, number = 1, 0
    while offset + GROUP_TASKS * TASK_EVENTS <= events:
        ids = [f"0199f3a2-7c00-7000-8000-{each:012x}" for each in range(number, number + GROUP_TASKS)]
        yield [Draft("task.submitted", _submission(each, index), each) for index, each in enumerate(ids)]
        yield [Draft("task.claimed", _about(each), each) for each in ids]
        first_claim = offset + GROUP_TASKS
        yield [
            Draft(
                "task.succeeded",
                _about(each, b',"claim":%d,"ran_ms":0.004,"result":%d' % (first_claim + index, index)),
                each,
            )
            for index, each in enumerate(ids)
        ]
        offset += GROUP_TASKS * TASK_EVENTS
        number += GROUP_TASKS


def _submission(task_id: str, index: int) -> bytes:
    message = Message(uuid=task_id, task_name="noop", args=[index], created_at=1_795_305_600_123)
    return encode_message(message)


def _about(task_id: str, detail: bytes = b"") -> bytes:
    return b'{"task":"%b","worker":"%b"%b}' % (task_id.encode(), WORKER.encode(), detail)
