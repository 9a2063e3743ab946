"""Holds what all requests share: the journal, the broker, and one replica of the tasks' state that follows the log."""

import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Self

import anyio

from ..consumers.moments import parse_moment
from ..consumers.views.replica import Replica
from ..journal.async_journal import AsyncJournal
from ..journal.cursor import Cursor, Position
from ..journal.errors import JournalError
from ..journal.event import Event
from ..tasks.broker import AsyncBroker
from ..tasks.lookup import TaskLookup
from ..tasks.state.view import TaskView
from .limits import AT_LEAST_SECONDS, FOLLOW_AGAIN_SECONDS, FOLLOW_AGAIN_SECONDS_MAX
from .past import PastViews
from .problems import Problem

logger = logging.getLogger(__name__)


class Backend:
    """The state of a running service; `running()` opens it and closes it.

    The requests and the replica run in one event loop, so a request that does not await sees one state of the view.
    """

    def __init__(self, journal: AsyncJournal) -> None:
        self.journal = journal
        self.broker = AsyncBroker(journal)
        self.lookup = TaskLookup(journal)
        self.replica: Replica[TaskView] = self._replica()
        self._past = PastViews(journal, TaskView)
        # Set once the service stops: streams end, and tell their readers to come again.
        self.stopping = anyio.Event()
        # Set at the next event that the replica applies, and then replaced.
        self.news = anyio.Event()
        # By partition, the offset behind the last event that this service has appended and its callers must see.
        self.written: dict[int, int] = {}
        # How many readers of live events use a channel of another reader; the hub of events counts them.
        self.shared_readers: Callable[[], int] = lambda: 0
        # Why the replica does not follow the journal at present; None if it does.
        self.trouble: JournalError | None = None
        # Why the service could not start; None if it could.
        self.failed: JournalError | None = None

    def _replica(self) -> Replica[TaskView]:
        return Replica(self.journal, TaskView(), renew=TaskView)

    @property
    def view(self) -> TaskView:
        """The state of all tasks, by the events before `cursor`."""
        return self.replica.view

    @property
    def readers(self) -> int:
        """How many readers follow the journal in this process."""
        return self.journal.readers + self.shared_readers()

    @property
    def cursor(self) -> Cursor:
        """The position up to which the view has applied the log."""
        return self.replica.cursor

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Open the journal, read its history, and follow it until the context ends."""
        try:
            await self._start()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._follow)
                try:
                    yield self
                finally:
                    self.stopping.set()
                    tasks.cancel_scope.cancel()
        finally:
            await self.replica.aclose()
            await self.lookup.aclose()
            await self.journal.aclose()

    async def _start(self) -> None:
        """Open the journal and read its history; `failed` says why that was not possible."""
        try:
            await self.journal.open()
            await self._read_history()
        except JournalError as error:
            self.failed = error
            raise

    async def _read_history(self) -> None:
        """Apply the history up to its present end; give up if the service is stopped meanwhile."""
        failure: JournalError | None = None

        async def give_up() -> None:
            await self.stopping.wait()
            reading.cancel_scope.cancel()

        async with anyio.create_task_group() as reading:
            reading.start_soon(give_up)
            try:
                await self.replica.catch_up()
            except JournalError as error:  # raised below: a task group would wrap it
                failure = error
            reading.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def _follow(self) -> None:
        """Keep the view current, and wait out an outage of the journal."""
        pause = FOLLOW_AGAIN_SECONDS
        while True:
            try:
                await self.replica.advance()
                self.trouble, pause = None, FOLLOW_AGAIN_SECONDS
                self.news.set()
                self.news = anyio.Event()
            except JournalError as error:
                if self.trouble is None:
                    logger.warning("the service does not follow the journal at present: %s", error)
                self.trouble = error
                await anyio.sleep(pause)
                pause = min(2 * pause, FOLLOW_AGAIN_SECONDS_MAX)

    # -- what requests ask -------------------------------------------------------------------------------------------

    async def reach(self, at_least: str | None, timeout: float | None = None) -> None:
        """Wait until the view contains all events before a client's cursor: the client then reads its writes.

        Raises `Problem` 400 for a text that is no cursor, 412 if the service has not read so far within `timeout`
        seconds (None: `AT_LEAST_SECONDS`).
        """
        if at_least is not None:
            await self._wait_for(cursor_of(at_least, "at_least"), AT_LEAST_SECONDS if timeout is None else timeout)

    async def applied(self, event: Event) -> None:
        """Wait until the view contains an event that this service has appended."""
        await self._wait_for(event.position, AT_LEAST_SECONDS)
        self.written[event.partition] = max(event.offset + 1, self.written.get(event.partition, 0))

    async def caught_up(self) -> None:
        """Wait until the view contains all events that the log holds now, among them what this service has written."""
        await self._wait_for((await self.journal.bounds()).end, AT_LEAST_SECONDS)
        self.written = dict(self.cursor)

    async def _wait_for(self, moment: Position | Cursor, timeout: float) -> None:
        try:
            await self.replica.wait_for(moment, timeout)
        except TimeoutError:
            raise Problem(
                412,
                "not-yet-read",
                f"the service has read up to {self.cursor.offsets} and not up to {_text(moment)} within {timeout:g} s; "
                "ask again",
            ) from None
        except ValueError as error:  # a partition that the journal does not have; or JournalDiverged
            if isinstance(error, JournalError):
                raise
            raise Problem(400, "bad-cursor", str(error)) from None

    async def view_at(self, as_of: str | None) -> tuple[TaskView, Cursor, float]:
        """Return the state at a moment (None: now), the cursor of that state, and the moment in seconds."""
        now = time.time()
        if as_of is None:
            return self.view, self.cursor, now
        moment = past_of(as_of, "as_of", now)
        past = await self._past.at(moment)
        return past.view, past.cursor, moment


def _text(moment: Position | Cursor) -> str:
    return moment.offsets if isinstance(moment, Cursor) else f"{moment.partition}:{moment.offset}"


def cursor_of(text: str, parameter: str) -> Cursor:
    """Parse the cursor of a request; `Problem` 400 names the parameter."""
    try:
        return Cursor.parse(text)
    except ValueError as error:
        raise Problem(400, "bad-cursor", f"{parameter}: {error}") from None


def moment_of(text: str, parameter: str, now: float) -> float:
    """Parse the moment of a request, in seconds since the epoch; `Problem` 400 names the accepted forms."""
    try:
        return parse_moment(text, parameter, now)
    except ValueError as error:
        raise Problem(400, "bad-moment", str(error)) from None


def past_of(text: str, parameter: str, now: float) -> float:
    """Parse the moment of a request that asks about the past; `Problem` 400 also for one that is still to come."""
    moment = moment_of(text, parameter, now)
    if moment > now:
        raise Problem(
            400, "bad-moment", f"{parameter} takes a moment of the past; this one lies {moment - now:g} s ahead"
        )
    return moment
