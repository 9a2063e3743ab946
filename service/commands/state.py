"""The commands as a fold of their events: the act, its caller, how far it has come, how it ended. Pure.

The events of a command are `command.started`, `command.progressed` every few seconds while it runs, `command.stopping`
once a caller asks to stop it, and `command.ended`. A command without an end that has been silent for a while counts as
abandoned: the process that ran it is gone, and its last event says how far it came.
"""

from collections import OrderedDict
from typing import Any, Final, Literal

import msgspec

from ...consumers.views.view import View
from ...journal.event import Event
from ...journal.log import Page
from ...tasks.state.names import COMMAND_ENDED, COMMAND_EVENTS, COMMAND_STARTED, COMMAND_STOPPING
from ..limits import COMMAND_SILENCE_SECONDS, COMMANDS_KEPT

_MARK: Final = b'"command.'

Action = Literal["requeue", "purge", "revoke"]


class Progress(msgspec.Struct, frozen=True):
    """How far a command is: tasks that were acted on, and of these those that changed and those that did not.

    A task that has moved on since it was chosen does not change.
    """

    done: int = 0
    changed: int = 0
    in_vain: int = 0


class CommandState(msgspec.Struct):
    """A command: what it does to which tasks, who asked for it and why, and how far it has come.

    `matched` tasks were chosen when it started. `outcome` is null while it runs; then "done", "stopped" (by a caller),
    "interrupted" (by the end of its service) or "failed", which `error` explains. Times are seconds since the epoch.
    """

    command: str
    action: str
    by: str
    reason: str | None
    filter: dict[str, Any]
    rate: float
    matched: int
    started_at: float
    seen_at: float
    progress: Progress = Progress()
    stopping_by: str | None = None
    outcome: str | None = None
    error: str | None = None

    def state_at(self, now: float) -> str:
        """Return its outcome; before that "stopping", "running", or "abandoned" after a long silence."""
        if self.outcome is not None:
            return self.outcome
        if now - self.seen_at > COMMAND_SILENCE_SECONDS:
            return "abandoned"
        return "stopping" if self.stopping_by is not None else "running"


class _Fields(msgspec.Struct):
    """What the contexts of the events hold, as far as they have it."""

    command: str = ""
    action: str = ""
    by: str = ""
    reason: str | None = None
    filter: dict[str, Any] = {}
    rate: float = 0.0
    matched: int = 0
    done: int = 0
    changed: int = 0
    in_vain: int = 0
    outcome: str = ""
    error: str | None = None


class CommandView(View):
    """The commands by id, the one started last at the end; at most `COMMANDS_KEPT`, the oldest is forgotten first."""

    def __init__(self) -> None:
        self.commands: OrderedDict[str, CommandState] = OrderedDict()

    def apply_page(self, page: Page) -> None:
        """Apply the events of commands in a page; no other record is decoded."""
        if any(_MARK in row for row in page.rows):
            chosen = [(offset, row) for offset, row in zip(page.offsets, page.rows, strict=True) if _MARK in row]
            super().apply_page(Page(page.partition, [each[0] for each in chosen], [each[1] for each in chosen]))

    def apply(self, event: Event) -> None:
        """Apply one event."""
        if event.name not in COMMAND_EVENTS:
            return
        try:
            said = msgspec.json.decode(event.context_json, type=_Fields)
        except msgspec.MsgspecError:
            self.unreadable += 1
            return
        if event.name == COMMAND_STARTED:
            self._start(said, event.timestamp)
        elif (found := self.commands.get(said.command)) is not None and found.outcome is None:
            self._move(found, event, said)

    def _start(self, said: _Fields, at: float) -> None:
        if not said.command or said.command in self.commands:
            return
        self.commands[said.command] = CommandState(
            said.command, said.action, said.by, said.reason, said.filter, said.rate, said.matched, at, at
        )
        if len(self.commands) > COMMANDS_KEPT:
            self.commands.popitem(last=False)

    def _move(self, found: CommandState, event: Event, said: _Fields) -> None:
        if event.name == COMMAND_STOPPING:
            found.stopping_by = said.by
            return
        found.seen_at = event.timestamp
        found.progress = Progress(said.done, said.changed, said.in_vain)
        if event.name == COMMAND_ENDED:
            found.outcome, found.error = said.outcome or "done", said.error

    def running(self, now: float) -> list[CommandState]:
        """Return the commands that run at `now`, in seconds since the epoch."""
        return [each for each in self.commands.values() if each.state_at(now) in ("running", "stopping")]
