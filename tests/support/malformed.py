"""Records that our writers never make: bytes, other JSON, depth, and each field of our events in a wrong type."""

import json
import random
from collections.abc import Iterator
from typing import Any

from journeyman.tasks.state import names

_VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    10**30,
    2**63,
    2**62,
    1.5,
    1e300,
    -1e300,
    "",
    "x",
    "\x00\x1b[31m\u2028",
    "y" * 3_000,
    [],
    ["x", 1, None],
    {},
    {"x": {"y": [1]}},
)
_FIELDS = ("timestamp", "name", "context", "key", "writer", "seq", "version", "partition", "offset")
_CONTEXTS: dict[str, dict[str, Any]] = {
    names.SUBMITTED: {
        "task": "poison",
        "task_name": "work",
        "queue": "default",
        "args": [1],
        "kwargs": {},
        "priority": 0,
        "max_retries": 3,
        "timeout": 1_000,
        "due": 0.0,
        "delay": 0,
        "created_at": 1,
        "metadata": {},
        "backoff_settings": {},
        "mechanism": "thread",
    },
    names.CLAIMED: {"task": "poison", "worker": "ghost"},
    names.SUCCEEDED: {"task": "poison", "worker": "ghost", "claim": 3, "ran_ms": 1.0, "result": 1},
    names.FAILED: {"task": "poison", "worker": "ghost", "claim": 3, "exception": {"name": "E", "text": "t"}},
    names.RETRIED: {"task": "poison", "worker": "ghost", "claim": 3, "due": 1.0, "exception": {"name": "E"}},
    names.INTERRUPTED: {"task": "poison", "worker": "ghost", "claim": 3, "reason": "r"},
    names.PROGRESSED: {"task": "poison", "worker": "ghost", "claim": 3},
    names.RESULT_STORED: {"task": "poison", "worker": "ghost", "claim": 3, "part": 0, "text": "1"},
    names.REVOKED: {"task": "poison"},
    names.REQUEUED: {"task": "poison"},
    names.COLLECTED: {"task": "poison"},
    names.PURGED: {"task": "poison"},
    names.LAPSED: {"task": "poison", "worker": "ghost", "reason": "expired"},
    names.ACKNOWLEDGED: {"task": "poison", "claim": 3},
    names.REJECTED: {"task": "poison", "claim": 3, "exception": {"name": "E", "text": "t"}},
    names.RESCHEDULED: {"task": "poison", "claim": 3, "due": 1.0},
    names.NOTED: {"task": "poison", "status": "RUNNING", "details": {"step": 1}},
    names.AMENDED: {"task": "poison", "claim": 3, "metadata": {"step": 1}},
    names.JOINED: {
        "worker": "ghost",
        "lease_ms": 1_000,
        "host": "h",
        "pid": 1,
        "tasks": ["work"],
        "more_tasks": 0,
        "queues": ["default"],
        "slots": 1,
        "selection": {"order": "fair", "weights": {"default": 2}, "ageing_ms": 5, "tasks": {"default": ["work"]}},
    },
    names.BEAT: {"worker": "ghost"},
    names.LEFT: {"worker": "ghost"},
    names.EXPIRED: {"worker": "ghost", "last": 1, "by": "x"},
    "consumer.checkpointed": {
        "name": "kept",
        "cursor": "0:1",
        "after": 1,
        "consumer": "h:1:t",
        "topic": "order",
        "reset": True,
        "by": "u@h",
        "carried": True,
    },
    "consumer.parked": {
        "name": "kept",
        "position": "0:1",
        "event": {"name": "a.b", "timestamp": 1.0},
        "attempts": 1,
        "error": {"name": "E", "text": "t", "traceback": ""},
        "consumer": "h:1:t",
        "parked_at": 1.0,
        "looked_to": 1,
    },
    "consumer.replayed": {"name": "kept", "position": "0:1", "event": {"name": "a.b", "timestamp": 1.0}},
    "consumer.dropped": {"name": "kept", "position": "0:1"},
}


def _event(**fields: Any) -> bytes:
    return json.dumps({"timestamp": 1_795_305_600.5, "name": "foreign.thing", "context": {}} | fields).encode()


def _bytes() -> Iterator[bytes]:
    yield from (b"", b" ", b"\x00", b"\xff\xfe", b"null", b"[]", b"{}", b'"x"', b"17", b"{", b'{"timestamp":1')
    yield b'{"timestamp":1,"name":"a.b","context":{"x":"\xff"}}'
    yield b'{"timestamp":1,"name":"a.\xff","context":{}}'
    yield b'{"timestamp":1e999,"name":"a.b"}'
    yield b'{"timestamp":NaN,"name":"a.b"}'
    yield b'{"timestamp":1,"name":"a.b","context":{"x":1e999}}'
    yield b'{"timestamp":1,"name":"a.b","context":{"x":' + b"1" * 6_000 + b"}}"
    yield b'{"timestamp":1,"timestamp":"x","name":"a.b"}'
    yield b'{"timestamp":1,"name":"a.b","name":"task.submitted","context":{}}'
    yield b'{"timestamp":1,"name":"a.b","context":{"x":1,"x":{"x":2}}}'
    yield b'{"timestamp":1,"name":"a.b","context":{"x":"\\ud800"}}'
    yield b'{"timestamp":1,"name":"","context":{}}'
    yield b'{"timestamp":1,"name":"a.b",\r\n"context":{"x":\n[1,\r2]}}\n'
    yield b'{"timestamp":1,"name":"task.succeeded","context":{"task":"poison","result":"\xff"}}'
    for opening, closing in ((b"[", b"]"), (b'{"x":', b"}"), (b'[{"x":', b"}]")):
        for depth in (150, 300, 505, 520, 990, 3_000, 100_000):
            nested = opening * depth + b"1" + closing * depth
            yield b'{"timestamp":1,"name":"deep.thing","context":{"x":' + nested + b"}}"
            yield (
                b'{"timestamp":1,"name":"task.submitted","context":{"task":"deep%d%d","task_name":"work","args":[%b]}}'
                % (
                    len(opening),
                    depth,
                    nested,
                )
            )
            yield opening * depth


def records(seed: int = 0) -> list[bytes]:
    """All of them in a random order, and some of them with bytes changed."""
    chosen = random.Random(seed)
    found = list(_bytes())
    found += [_event(**{field: value}) for field in _FIELDS for value in _VALUES]
    for name, context in _CONTEXTS.items():
        found.append(_event(name=name))
        key = context.get("task") or context.get("worker") or context.get("name")
        found.append(_event(name=name, key=key))
        for field in context:
            found += [_event(name=name, key=key, context=context | {field: value}) for value in _VALUES]
            found.append(_event(name=name, key=key, context={k: v for k, v in context.items() if k != field}))
        found.append(_event(name=name, key=key, context=context))
    for row in chosen.choices(found, k=200):
        mangled = bytearray(row[:5_000])
        for _ in range(chosen.randint(1, 3)):
            if mangled:
                mangled[chosen.randrange(len(mangled))] = chosen.randrange(256)
        found.append(bytes(mangled))
    chosen.shuffle(found)
    return found
