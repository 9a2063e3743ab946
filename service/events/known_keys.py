"""Which idempotency keys have been used, and where the events appended with them stand: read from the log itself.

An event that is appended with a key has a writer's id made of the key, so every process of the service that follows
the log finds it, also after a restart.
"""

import logging
import time
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Final

import anyio
import anyio.lowlevel
import msgspec

from ...journal.async_journal import AsyncJournal
from ...journal.cursor import Position
from ...journal.errors import HistoryTruncated, JournalError
from ...journal.event_decoding import readable
from ...journal.log import Page
from ..limits import (
    FOLLOW_AGAIN_SECONDS,
    IDEMPOTENCY_KEYS_MAX,
    IDEMPOTENCY_SECONDS,
    IDEMPOTENCY_WAIT_SECONDS,
)
from ..problems import Problem

_PREFIX: Final = "once-"
_NEEDLE: Final = b'"writer":"' + _PREFIX.encode()
_DIGEST_BYTES: Final = 13  # with the prefix an id is as long as that of any other writer

logger = logging.getLogger(__name__)


def writer_of(caller: str, key: str) -> str:
    """Return the writer's id of the events that a caller appends with an idempotency key."""
    return _PREFIX + blake2b(f"{caller}\0{key}".encode(), digest_size=_DIGEST_BYTES).hexdigest()


class Used(msgspec.Struct, gc=False):
    """The events of one append, at consecutive offsets: the position of the first one, and their number."""

    partition: int
    offset: int
    time: float
    count: int = 1


class KnownKeys:
    """The keys used in the last `IDEMPOTENCY_SECONDS`, up to the offsets in `read`; `run` keeps them current."""

    def __init__(self, journal: AsyncJournal) -> None:
        self.read: dict[int, int] = {}
        self._journal = journal
        self._used: dict[str, Used] = {}
        self._news = anyio.Event()

    async def run(self) -> None:
        """Follow the log until cancelled, and wait out its outages."""
        while True:
            try:
                await self._follow()
            except HistoryTruncated:
                self.read = {}  # what was to be read next is gone: begin anew
            except Exception as error:  # of any kind: it must not end the service
                if not isinstance(error, JournalError):
                    logger.exception("the service cannot read the idempotency keys at present")
                await anyio.sleep(FOLLOW_AGAIN_SECONDS)

    async def _follow(self) -> None:
        begin: Mapping[int, int] = self.read
        if not begin:
            begin = await self._journal.position_at(time.time() - IDEMPOTENCY_SECONDS)
            first = (await self._journal.bounds()).first
            begin = {partition: max(offset, begin.get(partition, 0)) for partition, offset in first.items()}
        reader = await self._journal.follow(begin)
        try:
            self._advance(begin)
            while True:
                page = await reader.page()
                if page is not None:
                    self._note(page)
                self._advance(reader.cursor)
                await anyio.lowlevel.checkpoint()  # the log may answer without a wait, page after page
        finally:
            with anyio.CancelScope(shield=True):
                await reader.aclose()

    def _advance(self, cursor: Mapping[int, int]) -> None:
        self.read = dict(cursor)
        news, self._news = self._news, anyio.Event()
        news.set()

    def _note(self, page: Page) -> None:
        chosen = [(offset, row) for offset, row in zip(page.offsets, page.rows, strict=True) if _NEEDLE in row]
        if not chosen:
            return
        events, _ = readable([row for _, row in chosen], page.partition, [offset for offset, _ in chosen])
        for event in events:
            if not event.writer.startswith(_PREFIX):
                continue
            used = self._used.get(event.writer)
            if used is not None and (used.partition, used.offset + used.count) == (event.partition, event.offset):
                used.count += 1
            elif used is None or event.timestamp - used.time > IDEMPOTENCY_SECONDS:
                self._used.pop(event.writer, None)  # the oldest comes first
                self._used[event.writer] = Used(event.partition, event.offset, event.timestamp)
        self._forget()

    def _forget(self) -> None:
        oldest = time.time() - IDEMPOTENCY_SECONDS
        while self._used:
            writer, used = next(iter(self._used.items()))
            if used.time >= oldest and len(self._used) <= IDEMPOTENCY_KEYS_MAX:
                return
            del self._used[writer]

    def used(self, writer: str) -> Used | None:
        """Return where the events of a key stand; None if it has not been used in the last `IDEMPOTENCY_SECONDS`."""
        found = self._used.get(writer)
        return found if found is not None and found.time >= time.time() - IDEMPOTENCY_SECONDS else None

    async def reach(self, ends: Mapping[int, int]) -> None:
        """Wait until all events before these offsets have been read; `Problem` 503 if that takes too long."""
        with anyio.move_on_after(IDEMPOTENCY_WAIT_SECONDS):
            while not self._has_read(ends):
                await self._news.wait()
            return
        raise Problem(
            503,
            "not-yet-read",
            "the service has not read the keys of the last day yet, and has appended nothing; repeat the request",
            retry_after=1,
        )

    def _has_read(self, ends: Mapping[int, int]) -> bool:
        return bool(self.read) and all(self.read.get(partition, 0) >= offset for partition, offset in ends.items())


def behind(positions: Iterable[Position]) -> dict[int, int]:
    """Return the offsets behind the last of these positions, in each partition."""
    ends: dict[int, int] = {}
    for partition, offset in positions:
        ends[partition] = max(ends.get(partition, 0), offset + 1)
    return ends
