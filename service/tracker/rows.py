"""Makes rows that every viewer can render, whatever the events of requests contain. Pure.

Viewers of the Top Framework crash at the first row that they cannot render: an active task without a start, a repeated
header, a status or length that is no number, a time that is no text, and text with `[`, which they take for markup. So
each field is converted to the form that they expect, or left out; brackets are percent-encoded in paths and escaped
elsewhere.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from ...tasks.state.state import TaskState
from ...tasks.state.transitions import State

_TEXTS: Final = (
    "task_name", "host_name", "process_internal_id", "processor_name", "protocol", "host", "method",
    "client_ip_address", "status_message",
)  # fmt: skip
_PATHS: Final = ("path", "uri")
_NUMBERS: Final = ("process_id", "thread_id", "status_code")
_TIMES: Final = ("updated_at", "ended_at")
_REPEATABLE: Final = "SET-COOKIE"
_NUMERIC_HEADER: Final = "CONTENT-LENGTH"
_LARGEST: Final = 2**53


def row(task: Mapping[str, Any], identity: str) -> dict[str, Any]:
    """Return the fields of a task that fit their kinds."""
    id_ = task.get("task_id")
    found: dict[str, Any] = {"task_id": id_ if _is_number(id_) or isinstance(id_, str) else identity}
    found |= {name: _plain(task[name]) for name in _TEXTS if isinstance(task.get(name), str)}
    found |= {name: _path(task[name]) for name in _PATHS if isinstance(task.get(name), str)}
    found |= {name: task[name] for name in _NUMBERS if _is_number(task.get(name))}
    found |= {name: time for name in _TIMES if (time := _time(task.get(name)))}
    found["started_at"] = _time(task.get("started_at")) or found.get("updated_at") or _EPOCH
    well = task.get("recorded_successfully")
    found["recorded_successfully"] = well if isinstance(well, bool) else None
    for name in ("tags", "params"):
        if isinstance(task.get(name), Mapping):
            found[name] = {_plain(str(key)): _plain(str(value)) for key, value in task[name].items()}
    if isinstance(task.get("command_line"), list):
        found["command_line"] = [_plain(str(word)) for word in task["command_line"]]
    for name in ("request_headers", "response_headers"):
        if isinstance(task.get(name), list):
            found[name] = list(_headers(task[name]))
    return found


_EPOCH: Final = datetime.fromtimestamp(0, UTC).isoformat()


def _headers(pairs: Iterable[Any]) -> Iterator[list[str]]:
    """Yield each header once, repeats joined by commas; `Set-Cookie`, which cannot be joined, as often as it stands."""
    joined: dict[str, list[str]] = {}
    for pair in pairs:
        if isinstance(pair, list | tuple) and len(pair) == 2 and all(isinstance(each, str) for each in pair):
            name = pair[0].upper()
            if name == _REPEATABLE:
                yield [name, _plain(pair[1])]
            else:
                joined.setdefault(name, []).append(pair[1])
    for name, values in joined.items():
        value = ", ".join(values)
        if name != _NUMERIC_HEADER or (value.isascii() and value.isdigit()):
            yield [_plain(name), _plain(value)]


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST


def _time(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        time = datetime.fromisoformat(value)
        return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).isoformat()
    except ValueError:
        return None


def _plain(text: str) -> str:
    return _encodable(text).replace("[", r"\[")


def _path(text: str) -> str:
    return _encodable(text).replace("[", "%5B").replace("]", "%5D")


def _encodable(text: str) -> str:
    """Return the text with what UTF-8 cannot encode, or a terminal obeys, replaced."""
    clean = text.encode("utf-8", "replace").decode()
    return clean if clean.isprintable() else "".join(each if each.isprintable() else "?" for each in clean)


def task_row(task: TaskState) -> dict[str, Any]:
    """Return the row of a task of the queue: its worker as its processor, its name, and when it began or ended."""
    at = datetime.fromtimestamp(task.changed_at, UTC).isoformat()
    runs = task.state is State.CLAIMED
    begun = datetime.fromtimestamp(task.submitted_at, UTC).isoformat()
    fields: dict[str, Any] = {
        "task_id": task.id,
        "task_name": task.name,
        "process_internal_id": task.id,
        "processor_name": task.worker or None,
        "started_at": at if runs else begun,
        "updated_at": at,
        "tags": {"queue": task.queue},
        "method": "TASK",
        "path": f"{task.queue}/{task.name}",
    }
    if not runs:
        fields |= {"ended_at": at, "recorded_successfully": task.state is State.SUCCEEDED}
    return row(fields, task.id)
