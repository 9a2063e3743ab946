"""`Task`: one piece of work that a server does now, or has done, with where it ran and how long it took."""

import json
import os
import socket
import sys
import threading
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, ClassVar, Final, Self, cast

from .errors import InvalidTask
from .schema import TaskSchema
from .timestamps import now, parse_time

_TIMES: Final = ("started_at", "updated_at", "ended_at")


@dataclass(eq=False)
class Task:
    """A task. Each field may be None, for what is not known; times carry a zone.

    Tasks are equal, and hashed, by `task_id`. `recorded_successfully` is None while the task runs, True once its end
    was recorded, False if its end was never seen and a monitor has swept it. Fields of other versions are kept in
    `unknown` and written again. A value of another kind raises `InvalidTask`, which names the field.
    """

    task_id: int | str | None = None
    task_name: str | None = None
    host_name: str | None = None
    process_id: int | None = None
    thread_id: int | None = None
    process_internal_id: str | None = None
    processor_name: str | None = None
    started_at: datetime | None = None
    updated_at: datetime | None = None
    ended_at: datetime | None = None
    recorded_successfully: bool | None = None
    tags: dict[str, str] | None = None
    command_line: list[str] | None = None
    unknown: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    # What each field takes besides None, for values from outside.
    kinds: ClassVar[dict[str, type | tuple[type, ...]]] = {
        "task_id": (int, str),
        "task_name": str,
        "host_name": str,
        "process_id": int,
        "thread_id": int,
        "process_internal_id": str,
        "processor_name": str,
        "recorded_successfully": bool,
        "tags": dict,
        "command_line": list,
    }

    def __post_init__(self) -> None:
        for name in _TIMES:
            setattr(self, name, parse_time(getattr(self, name), name))
        for name, kind in self.kinds.items():
            _check(name, getattr(self, name), kind)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Task) and self.task_id == other.task_id

    def __hash__(self) -> int:
        return hash(self.task_id)

    @classmethod
    def create_from_current_thread(cls, task_id: int | str, processor_name: str | None = None, **more: Any) -> Self:
        """Return a task that this thread of this process does, on this host, by its command line."""
        return cls(
            task_id=task_id,
            processor_name=processor_name or threading.current_thread().name,
            **{
                "host_name": socket.gethostname(),
                "process_id": os.getpid(),
                "thread_id": threading.get_native_id(),
                "command_line": list(sys.argv),
                **more,
            },
        )

    def get_duration(self) -> float | None:
        """Return how long it took, or has taken so far, in seconds; None if its start is not known."""
        if self.started_at is None:
            return None
        return ((self.ended_at or now()) - self.started_at).total_seconds()

    def get_ago(self) -> float | None:
        """Return how long ago it ended, in seconds; None if it has not."""
        return None if self.ended_at is None else (now() - self.ended_at).total_seconds()

    def get_processor_tracking_id(self) -> str:
        """Return the text that identifies what runs the task: its process and thread, or the process's own id."""
        if self.process_internal_id is not None:
            return f"{self.process_id}-{self.thread_id}-{self.process_internal_id}"
        return f"pid:{self.process_id} tid:{self.thread_id}"

    # -- as data -------------------------------------------------------------------------------------------------------

    @classmethod
    def field_names(cls) -> tuple[str, ...]:
        """Return the names of the fields, in their order."""
        return tuple(each.name for each in fields(cls) if each.init)

    def to_dict(self, encode_json: bool = False) -> dict[str, Any]:
        """Return the fields by name as plain data, times as text; `encode_json` changes nothing, as all is plain."""
        data = {name: _plain(getattr(self, name)) for name in self.field_names()}
        return data | self.unknown

    @classmethod
    def from_dict(cls, kvs: dict[str, Any], *, infer_missing: bool = False) -> Self:
        """Return the task that `to_dict` has returned the data of; missing fields are None, unknown ones are kept."""
        if not isinstance(kvs, dict):
            raise InvalidTask(f"a task is an object of its fields, got {kvs!r:.80}")
        known = set(cls.field_names())
        task = cls(**{name: value for name, value in kvs.items() if name in known})
        task.unknown = {str(name): value for name, value in kvs.items() if name not in known}
        return task

    def to_json(self, **options: Any) -> str:
        """Return the task as JSON; the options are those of `json.dumps`."""
        return json.dumps(self.to_dict(), **options)

    @classmethod
    def from_json(cls, s: str | bytes, *, infer_missing: bool = False, **options: Any) -> Self:
        """Return the task that is written as JSON; the options are those of `json.loads`."""
        try:
            data = json.loads(s, **options)
        except ValueError as error:
            raise InvalidTask(f"a task is an object of JSON, got {s[:80]!r}: {error}") from None
        return cls.from_dict(cast("dict[str, Any]", data), infer_missing=infer_missing)

    def serialise(self) -> bytes:
        """Return the task as bytes, for `deserialise`."""
        return self.to_json().encode()

    @classmethod
    def deserialise(cls, blob: bytes | str) -> Self:
        """Return the task that `serialise` has written."""
        return cls.from_json(blob)

    @classmethod
    def schema(
        cls, *, infer_missing: bool = False, only: Any = None, exclude: Any = (), many: bool = False, **_ignored: Any
    ) -> TaskSchema[Self]:
        """Return a schema to load and dump tasks of this class, one or `many`; `only` and `exclude` name fields."""
        return TaskSchema(cls, only, exclude, many=many)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list):
        return [list(each) if isinstance(each, tuple) else each for each in value]
    return dict(value) if isinstance(value, dict) else value


def _check(name: str, value: object, kind: type | tuple[type, ...]) -> None:
    fits = value is None or (isinstance(value, kind) and (kind is bool or not isinstance(value, bool)))
    if not fits:
        kinds = kind if isinstance(kind, tuple) else (kind,)
        raise InvalidTask(f"{name} is {' or '.join(each.__name__ for each in kinds)} or None, got {value!r:.80}")
