"""One reader's pass over the journal: it reads history by itself, then live events from the shared channel."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

import anyio
import anyio.lowlevel

from ...consumers.engine.stream import Phase
from ...journal.cursor import Cursor
from ..limits import HEARTBEAT_SECONDS, READER_BYTES_MAX, READER_STALL_SECONDS
from ..problems import document_of, told
from .channel import Channel, Heartbeat, Overrun
from .forms import StreamForm
from .hub import Hub
from .page import Page
from .selection import EventSelection, Reading, Sentinel

_SLOW: Final = (
    f"this reader was more than {READER_BYTES_MAX:,} bytes of events behind; come again with the cursor of the last one"
)
_STOPPING: Final = "the service stops; come again with the cursor of the last event"

logger = logging.getLogger(__name__)

Write = Callable[[bytes], Awaitable[None]]


class Feed:
    """Writes the frames of one reader by `write`, which returns when the connection can take more."""

    def __init__(self, hub: Hub, selection: EventSelection, form: StreamForm) -> None:
        self.taking_since: float | None = None
        self._hub = hub
        self._selection = selection
        self._form = form
        self._reading = Reading(hub.journal, selection)
        self._first: Page | Sentinel | None = None
        self._scope = anyio.CancelScope()

    async def open(self) -> Cursor | None:
        """Find the start and return its cursor; None if a reader that reconnects has read all it asked for."""
        await self._reading.open()
        begin = self._reading.cursor
        if self._selection.resumes and self._selection.until is not None:
            try:
                while not self._first:
                    self._first = await self._reading.next_available()
                    if self._first is None:
                        return None
                    await anyio.lowlevel.checkpoint()
            except TimeoutError:
                self._first = None
        return begin

    async def run(self, begin: Cursor, write: Write) -> bool:
        """Write frames until the selection ends, the service stops or an error is sent; False if the reader stalls."""
        self._hub.readers.add(self)
        try:
            with self._scope:
                await self._put(write, self._form.opening(str(begin)))
                await self._follow(write)
            if self._scope.cancelled_caught:
                logger.warning("a reader of events has taken nothing for %g s; it is dropped", READER_STALL_SECONDS)
                return False
        except Exception as error:
            await self._put(write, self._form.problem(document_of(*told(error, "a stream of events"))))
        finally:
            self._hub.readers.discard(self)
        return True

    async def aclose(self) -> None:
        """Release the log."""
        await self._reading.aclose()

    def disconnect(self) -> None:
        """End the connection at once: its reader takes nothing."""
        self._scope.cancel()

    async def stop(self) -> None:
        """End the stream because the service stops, and tell its reader to reconnect."""
        await self._reading.stream.abandon()

    async def _put(self, write: Write, frame: bytes) -> None:
        self.taking_since = time.monotonic()
        await write(frame)
        self.taking_since = None

    # -- history -----------------------------------------------------------------------------------------------------

    async def _follow(self, write: Write) -> None:
        if (truncated := self._reading.stream.truncated) is not None:
            content = {"first_offset": truncated.first_offset, "first_time": truncated.first_time}
            await self._put(write, self._form.notice("truncated", {"partition": truncated.partition, **content}))
        while True:
            if self._selection.is_shared and self._reading.stream.phase is Phase.LIVE:
                cursor = self._reading.cursor
                channel = await self._hub.channel(self._selection, cursor)
                number = channel.join(cursor)
                if number is not None:
                    await self._follow_live(write, channel, number, cursor)
                    return
            try:
                page, self._first = self._first or await self._reading.next_page(HEARTBEAT_SECONDS), None
            except TimeoutError:
                await self._put(write, self._form.heartbeat(str(self._reading.cursor)))
                continue
            if page is None:
                await self._end(write, str(self._reading.cursor))
                return
            if isinstance(page, Sentinel):
                await self._put(write, self._form.notice("sentinel", {}, page.cursor))
            else:
                await self._put_page(write, page)
            await anyio.lowlevel.checkpoint()  # the log may answer without a wait, page after page

    async def _put_page(self, write: Write, page: Page) -> None:
        for number, frames in enumerate(page.frames(self._form)):
            if number:
                await anyio.lowlevel.checkpoint()  # a connection that is lost is noticed between two writes
            await self._put(write, frames)

    async def _end(self, write: Write, cursor: str | None) -> None:
        if self._hub.stopping.is_set():
            await self._put(write, self._form.again({"detail": _STOPPING}, cursor))
        else:
            await self._put(write, self._form.notice("end", {}, cursor))

    # -- live --------------------------------------------------------------------------------------------------------

    async def _follow_live(self, write: Write, channel: Channel, number: int, cursor: Cursor) -> None:
        try:
            await self._reading.aclose()
            ahead: Cursor | None = cursor  # of the channel, perhaps
            while not self._hub.stopping.is_set():
                for page in channel.pages(number):
                    number += 1
                    if ahead is None:
                        await self._put_live(write, page)
                        continue
                    if isinstance(page, Page):
                        await self._put_live(write, page.behind(ahead))
                    if all(page.end.get(partition, 0) >= offset for partition, offset in ahead.items()):
                        ahead = None
                if channel.over:
                    break
                await channel.wait(number)
        except Overrun:
            await self._put(write, self._form.again({"detail": _SLOW, "overrun": READER_BYTES_MAX}, None))
            return
        finally:
            self._hub.leave(channel)
        if channel.error is not None:
            raise channel.error
        await self._end(write, None)

    async def _put_live(self, write: Write, page: Page | Heartbeat) -> None:
        if isinstance(page, Heartbeat):
            await self._put(write, self._form.heartbeat(page.cursor))
            return
        if page.oldest <= self._selection.since:
            page = page.later_than(self._selection.since)
        if page:
            await self._put_page(write, page)
