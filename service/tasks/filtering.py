"""Filters for tasks: by fields that the state of the queue holds, and by fields that only submissions hold. Pure."""

from typing import Any, Final, NamedTuple

import msgspec

from ...journal.row_decoder import Moment, RowDecoder
from ...tasks.labels import Labels
from ...tasks.state import names
from ...tasks.state.state import TaskState
from ...tasks.state.transitions import State

# The states of the tasks that the view holds, all of them.
HELD: Final = frozenset({State.READY, State.CLAIMED, State.FAILED})


class SubmissionContext(msgspec.Struct):
    """What a list reads of the context of a submission."""

    task: str = ""
    task_name: str = ""
    queue: str = names.QUEUE_DEFAULT
    priority: int = 0
    due: float = 0.0
    summary: str = ""
    tags: tuple[str, ...] = ()
    args: msgspec.Raw = msgspec.Raw(b"[]")
    kwargs: msgspec.Raw = msgspec.Raw(b"{}")
    encoded: str | None = None

    @property
    def labels(self) -> Labels:
        """Its labels."""
        return Labels(self.summary, self.tags)


class SubmissionEvent(msgspec.Struct):
    """A record that may be a submission."""

    name: str
    timestamp: Moment
    context: SubmissionContext


submissions: Final = RowDecoder(SubmissionEvent)


class ArgumentFilter(NamedTuple):
    """A filter for the arguments: the value at a path, such as `kwargs.to=ada`, or a text that they contain."""

    path: tuple[str, ...]
    text: str

    @classmethod
    def parse(cls, typed: str) -> "ArgumentFilter":
        """Return the filter that a person has typed; what does not begin with `args` or `kwargs` is a text."""
        path, equals, value = typed.partition("=")
        steps = tuple(path.strip().split("."))
        if equals and steps[0] in ("args", "kwargs") and len(steps) > 1 and all(steps):
            return cls(steps, value.strip())
        return cls((), typed.strip())

    def holds(self, said: SubmissionContext) -> bool:
        """Return whether the arguments of a submission match."""
        if self.path:
            return _is_said(_value_at(said, self.path), self.text)
        wanted = {self.text.casefold(), msgspec.json.encode(self.text)[1:-1].decode().casefold()}
        written = f"{_text(said.args)}\n{_text(said.kwargs)}\n{said.encoded or ''}".casefold()
        return any(each in written for each in wanted)


_MISSING: Final = object()


def _text(raw: msgspec.Raw) -> str:
    return bytes(raw).decode("utf-8", "replace")


def _value_at(said: SubmissionContext, path: tuple[str, ...]) -> Any:
    try:
        value: Any = msgspec.json.decode(said.args if path[0] == "args" else said.kwargs)
    except (msgspec.MsgspecError, RecursionError):
        return _MISSING
    for step in path[1:]:
        if isinstance(value, dict):
            value = value.get(step, _MISSING)
        elif isinstance(value, list) and step.isascii() and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return _MISSING
    return value


def _is_said(value: Any, text: str) -> bool:
    """Return whether a value is what a person means by `text`: the text itself, or the JSON value that it spells."""
    if value is _MISSING:
        return False
    if isinstance(value, str):
        return value == text or msgspec.json.encode(value).decode() == text
    try:
        meant: Any = msgspec.json.decode(text.encode())
    except (msgspec.MsgspecError, RecursionError):
        return False
    return bool(meant == value) and isinstance(meant, bool) == isinstance(value, bool)


class TaskFilter(NamedTuple):
    """A filter for tasks: every field that is not None must match; times in seconds since the epoch, both included.

    `worker` is the id, or the end of the id, of the worker that has claimed the task last.
    """

    name: str | None = None
    queue: str | None = None
    tag: str | None = None
    state: State | None = None
    since: float | None = None
    until: float | None = None
    argument: ArgumentFilter | None = None
    worker: str | None = None

    @property
    def reads_submissions(self) -> bool:
        """Whether the state does not suffice: the filter needs the submissions of the tasks."""
        return self.tag is not None or self.argument is not None

    @property
    def is_wide(self) -> bool:
        """Whether all tasks match, of whatever state."""
        return self._replace(state=None) == TaskFilter()

    def holds(self, name: str, queue: str, submitted_at: float) -> bool:
        """Return whether a task of that name, queue and time matches these parts."""
        return (
            self.name in (None, name)
            and self.queue in (None, queue)
            and (self.since is None or submitted_at >= self.since)
            and (self.until is None or submitted_at <= self.until)
        )

    def holds_task(self, task: TaskState) -> bool:
        """Return whether a task matches all parts that its state answers, the state itself apart."""
        if not self.holds(task.name, task.queue, task.submitted_at):
            return False
        return self.worker is None or (bool(task.worker) and task.worker.endswith(self.worker))

    def holds_submission(self, said: SubmissionContext) -> bool:
        """Return whether a submission matches the parts that only it answers."""
        return (self.tag is None or self.tag in said.tags) and (self.argument is None or self.argument.holds(said))
