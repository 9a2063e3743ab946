"""Keeps the tracked requests and the tasks that ended last, both current from the first time a caller asks."""

from collections import deque
from contextlib import suppress

import anyio

from ...consumers.views.replica import Replica
from ...journal.cursor import Cursor
from ...journal.errors import JournalError
from ...journal.event import Event
from ...tasks.state.state import TaskState
from ...tasks.state.view import TaskView
from ...top.view import RequestsView
from ..backend import Backend
from ..keys import Keyring
from ..limits import AT_LEAST_SECONDS, FOLLOW_AGAIN_SECONDS, TRACKER_COMPLETED_TASKS


class TrackedRequests:
    """A replica of the requests, and the tasks of the queue that have ended lately."""

    def __init__(self, backend: Backend, keyring: Keyring) -> None:
        self.backend = backend
        self.keyring = keyring
        self._replica = Replica(backend.journal, RequestsView(), renew=RequestsView)
        self._wanted = anyio.Event()
        self._ready = anyio.Event()
        self._noted: TaskView | None = None
        self.ended: deque[TaskState] = deque(maxlen=TRACKER_COMPLETED_TASKS)

    @property
    def cursor(self) -> Cursor:
        """The position up to which the requests are known."""
        return self._replica.cursor

    async def run(self) -> None:
        """Once a caller has asked, follow the journal until cancelled; an outage is waited out."""
        await self._wanted.wait()
        try:
            while True:
                try:
                    if not self._ready.is_set():
                        await self._replica.catch_up()
                        self._ready.set()
                    await self._replica.advance()
                except JournalError:
                    await anyio.sleep(FOLLOW_AGAIN_SECONDS)
        finally:
            await self._replica.aclose()

    async def view(self) -> RequestsView:
        """Return the requests by all events that the log holds now; while the journal is away, those known before.

        The first caller waits until history has been read, all of them within `AT_LEAST_SECONDS`.
        """
        self._wanted.set()
        with anyio.move_on_after(AT_LEAST_SECONDS), suppress(JournalError):
            await self._ready.wait()
            await self._replica.catch_up()
        return self._replica.view

    async def applied(self, event: Event) -> None:
        """Wait until the view contains an event of this service."""
        await self.view()
        await self._replica.wait_for(event.position)

    def tasks(self) -> TaskView:
        """Return the state of the queue, and note which tasks end from now on."""
        view = self.backend.view
        if self._noted is not view:
            self._noted, view.on_ended = view, self.ended.appendleft
        return view
