"""Runs commands: chooses the tasks, acts on them at their rate, and writes what it does into the journal."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import anyio
from anyio.abc import TaskGroup

from ...consumers.views.replica import Replica
from ...journal.cursor import Cursor
from ...journal.errors import JournalError, JournalUnavailable
from ...journal.event import Event
from ...tasks.disposition import Effect
from ...tasks.inspection.as_of import cursor_at
from ...tasks.message import new_id
from ...tasks.state import names
from ..answers import problem_at
from ..backend import Backend
from ..limits import (
    AT_LEAST_SECONDS,
    COMMAND_ACTS_AT_ONCE,
    COMMAND_END_SECONDS,
    COMMAND_LOOK_SECONDS,
    COMMAND_PORTIONS_PER_SECOND,
    COMMAND_PROGRESS_SECONDS,
    COMMAND_TRIES,
    COMMANDS_KNOWN_SECONDS,
    COMMANDS_RUNNING_MAX,
    FOLLOW_AGAIN_SECONDS,
)
from ..past import PastViews
from ..problems import Problem
from .selecting import Choice, chosen
from .state import Action, CommandState, CommandView, Progress

logger = logging.getLogger(__name__)

Act = Callable[..., Awaitable[Effect]]


class Command:
    """A command that this process runs: the ids of its tasks, and how far it is."""

    def __init__(
        self, command: str, action: Action, tasks: list[str], rate: float, by: str, reason: str | None
    ) -> None:
        self.id = command
        self.action: Action = action
        self.tasks = tasks
        self.rate = rate
        self.by = by
        self.reason = f"{reason} (command {command})" if reason else f"command {command}"
        self.done = self.changed = 0

    @property
    def progress(self) -> Progress:
        """How far it is."""
        return Progress(self.done, self.changed, self.done - self.changed)


class CommandsSeen(NamedTuple):
    """The commands of the day before the moment `at`, in seconds since the epoch, by the events before `cursor`."""

    view: CommandView
    cursor: Cursor
    at: float

    def find(self, command: str) -> CommandState:
        """Return a command; `Problem` 404 for an unknown one."""
        found = self.view.commands.get(command)
        if found is None:
            raise problem_at(
                self.cursor,
                404,
                "not-found",
                f"no command {command!r:.100} was started in the day before the moment asked about; `GET /commands` "
                "lists those that were, and `as_of` leads to an earlier day",
            )
        return found


class Commands:
    """The commands of the journal by their events, those of other processes too, and those that run in this one."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._replica: Replica[CommandView] | None = None
        self._past = PastViews(backend.journal, CommandView, COMMANDS_KNOWN_SECONDS)
        self._wanted = anyio.Event()
        self._ready = anyio.Event()
        self._running: dict[str, Command] = {}
        self._group: TaskGroup | None = None
        self._starting = anyio.Lock()

    # -- following the events of commands ------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run the commands, and follow their events from the first time a caller asks, until cancelled."""
        async with anyio.create_task_group() as group:
            self._group = group
            await self._wanted.wait()
            while True:
                try:
                    await self._follow()
                except JournalError:
                    await anyio.sleep(FOLLOW_AGAIN_SECONDS)
                except Exception:  # the commands are read anew; the service goes on
                    logger.exception("the events of commands could not be followed")
                    self._replica, self._ready = None, anyio.Event()
                    await anyio.sleep(FOLLOW_AGAIN_SECONDS)

    async def _follow(self) -> None:
        journal = self._backend.journal
        if self._replica is None:
            cursor = await cursor_at(journal, time.time() - COMMANDS_KNOWN_SECONDS)
            self._replica = Replica(journal, CommandView(), cursor)
        replica = self._replica
        try:
            await replica.catch_up()
            self._ready.set()
            while True:
                await replica.advance()
        except ValueError:  # another journal has taken the place of this one: begin anew
            self._replica, self._ready = None, anyio.Event()
        finally:
            await replica.aclose()

    @property
    def cursor(self) -> Cursor:
        """The position up to which the commands are known; none of them before a caller has asked."""
        return Cursor({}) if self._replica is None else self._replica.cursor

    async def view(self) -> CommandView:
        """Return the commands of the last day by all events of the log; `Problem` 503 if that takes long."""
        self._wanted.set()
        with anyio.move_on_after(AT_LEAST_SECONDS):
            await self._ready.wait()
            if self._replica is not None:
                await self._replica.catch_up()
                return self._replica.view
        raise Problem(503, "commands-not-read", "the commands of the last day are still being read", retry_after=1)

    async def see(self, moment: float | None = None) -> CommandsSeen:
        """Return the commands at a moment (None: now), in seconds since the epoch.

        Now, those that run in this process with their latest progress.
        """
        if moment is not None:
            past = await self._past.at(moment)
            return CommandsSeen(past.view, past.cursor, moment)
        view, now = await self.view(), time.time()
        for own in self._running.values():
            found = view.commands.get(own.id)
            if found is not None and found.outcome is None:
                found.progress, found.seen_at = own.progress, now
        return CommandsSeen(view, self.cursor, now)

    async def find(self, command: str) -> CommandState:
        """Return a command as it is now; `Problem` 404 for an unknown one."""
        return (await self.see()).find(command)

    # -- starting and stopping -----------------------------------------------------------------------------------------

    async def start(
        self, choice: Choice, said: dict[str, Any], *, rate: float, limit: int, by: str, reason: str | None
    ) -> str:
        """Choose the tasks, write the start into the journal, run the command behind this request, and return its id.

        `said` is the filter as the event keeps it. `Problem` 409 if `COMMANDS_RUNNING_MAX` commands run already.
        """
        async with self._starting:
            running = (await self.view()).running(time.time())
            if len(running) >= COMMANDS_RUNNING_MAX:
                raise Problem(
                    409,
                    "too-many-commands",
                    f"{len(running)} commands run; at most {COMMANDS_RUNNING_MAX} run at once: wait for one or stop it",
                )
            tasks: list[str] = []
            async for portion, _ in chosen(self._backend, choice):
                tasks += [task.id for task in portion]
                if len(tasks) >= limit:
                    break
            command = Command(f"command-{new_id()}", choice.action, tasks[:limit], rate, by, reason)
            context = {"action": choice.action, "filter": said, "rate": rate, "matched": len(command.tasks), "by": by}
            event = await self._say(names.COMMAND_STARTED, command.id, context | ({"reason": reason} if reason else {}))
            assert self._replica is not None, "the view was read above"
            await self._replica.wait_for(event.position, AT_LEAST_SECONDS)
            self._running[command.id] = command
        assert self._group is not None, "requests are answered while the service runs"
        self._group.start_soon(self._carry_out, command)
        return command.id

    async def stop(self, command: str, by: str, reason: str | None) -> CommandState:
        """Ask a command to stop, in whatever process it runs; `Problem` 409 if it has ended."""
        found = await self.find(command)
        state = found.state_at(time.time())
        if state not in ("running", "stopping"):
            raise problem_at(self.cursor, 409, "already-ended", f"the command {command} does not run: it is {state}")
        event = await self._say(names.COMMAND_STOPPING, command, {"by": by} | ({"reason": reason} if reason else {}))
        assert self._replica is not None, "the command was found in its view"
        await self._replica.wait_for(event.position, AT_LEAST_SECONDS)
        return found

    async def _say(self, name: str, command: str, context: dict[str, Any]) -> Event:
        return await self._backend.journal.append(name, {"command": command, **context}, key=command)

    # -- carrying out --------------------------------------------------------------------------------------------------

    async def _carry_out(self, command: Command) -> None:
        """Run a command to its end, and say how it ended, also when the service stops or the journal fails."""
        outcome, error = "interrupted", None
        try:
            outcome = await self._act_on_all(command)
        except Exception as failure:  # whatever it is, the service goes on and says how far the command came
            outcome, error = "failed", type(failure).__name__
            logger.warning("the command %s has failed", command.id, exc_info=failure)
        finally:
            with anyio.move_on_after(COMMAND_END_SECONDS, shield=True):
                await self._end(command, outcome, error)
            self._running.pop(command.id, None)

    async def _end(self, command: Command, outcome: str, error: str | None) -> None:
        try:
            more = {} if error is None else {"error": error}
            await self._say(names.COMMAND_ENDED, command.id, {"outcome": outcome, **_fields(command.progress), **more})
        except JournalError as failure:
            logger.warning("the end of the command %s could not be written: %s", command.id, failure)

    async def _act_on_all(self, command: Command) -> str:
        """Act on the tasks at the command's rate, and return the outcome."""
        begun = said_at = anyio.current_time()
        size = max(1, min(COMMAND_ACTS_AT_ONCE, int(command.rate / COMMAND_PORTIONS_PER_SECOND)))
        while command.done < len(command.tasks):
            if self._is_stopped(command.id):
                return "stopped"
            portion = command.tasks[command.done : command.done + size]
            await self._act_on(command, portion)
            if anyio.current_time() - said_at >= COMMAND_PROGRESS_SECONDS:
                said_at = anyio.current_time()
                await self._say(names.COMMAND_PROGRESSED, command.id, _fields(command.progress))
            while (wait := begun + command.done / command.rate - anyio.current_time()) > 0:
                if self._is_stopped(command.id):
                    return "stopped"
                await anyio.sleep(min(wait, COMMAND_LOOK_SECONDS))
        return "done"

    async def _act_on(self, command: Command, tasks: list[str]) -> None:
        changed = [False] * len(tasks)

        async def act(number: int) -> None:
            changed[number] = bool(await self._act(command, tasks[number]))

        try:
            async with anyio.create_task_group() as group:
                for number in range(len(tasks)):
                    group.start_soon(act, number)
        except BaseExceptionGroup as errors:
            first = next((each for each in errors.exceptions if isinstance(each, JournalError)), None)
            raise errors if first is None else first from None
        command.done += len(tasks)
        command.changed += sum(changed)

    async def _act(self, command: Command, task: str) -> Effect:
        """Act on one task; an outage of the journal is waited out, at most `COMMAND_TRIES` times."""
        broker = self._backend.broker
        acts: dict[Action, Act] = {"requeue": broker.requeue, "purge": broker.purge, "revoke": broker.revoke}
        for _ in range(COMMAND_TRIES - 1):
            try:
                return await acts[command.action](task, by=command.by, reason=command.reason)
            except JournalUnavailable:
                await anyio.sleep(FOLLOW_AGAIN_SECONDS)
        return await acts[command.action](task, by=command.by, reason=command.reason)

    def _is_stopped(self, command: str) -> bool:
        found = None if self._replica is None else self._replica.view.commands.get(command)
        return found is not None and found.stopping_by is not None


def _fields(progress: Progress) -> dict[str, int]:
    return {"done": progress.done, "changed": progress.changed, "in_vain": progress.in_vain}
