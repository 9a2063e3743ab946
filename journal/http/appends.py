"""The appends of one log: numbering, queueing, and sending until their outcome is known.

Only one request is in flight at a time; the next one carries the appends queued meanwhile. So this writer's numbers
reach the log in order. A request whose answer is lost is sent again with the same numbers, by which the log recognises
the drafts that have landed; see `Relaying.append_numbered`.
"""

import asyncio
import bisect
import logging
from collections import deque
from collections.abc import Callable, Sequence

import msgspec
import uuid_utils

from ..append_counts import AppendCounts
from ..conditions import is_conditional, only_partition
from ..errors import AppendInDoubt, JournalClosed, JournalError, JournalGone, JournalUnavailable
from ..event import Draft, Event, check_all, number_all
from ..limits import CLOSE_SECONDS_MAX
from ..log import check_batch, check_partitions
from .connection import Connection, backoff, may_pass
from .limits import (
    APPEND_QUEUE_BYTES_MAX,
    APPEND_REQUEST_BYTES,
    APPEND_SECONDS_MAX,
    APPENDS_REMEMBERED,
    PARTS_MAX,
)
from .pending_append import PendingAppend, mixed_of, run_of
from .problems import error_from
from .reached import Reached
from .wire import Landed, outcomes_of, pack

logger = logging.getLogger("journeyman")


class Appends:
    """Appends to the `partitions` of one log; `hash_of` gives a key's partition; `broken` gets a fatal error."""

    def __init__(
        self,
        connection: Connection,
        partitions: int,
        hash_of: Callable[[bytes], int],
        reached: Reached,
        broken: Callable[[JournalGone], None],
    ) -> None:
        self.counts = AppendCounts()
        self._connection = connection
        self._partitions = partitions
        self._hash_of = hash_of
        self._reached = reached
        self._broken = broken
        self._writer = uuid_utils.uuid7().hex
        self._seq = 0
        # Where the drafts may stand that were numbered from a number on; the first is that of all earlier ones.
        self._since: list[tuple[int, dict[int, int]]] = [(0, reached.of({*range(partitions)}))]
        self._queue: deque[PendingAppend] = deque()
        self._underway: list[PendingAppend] = []
        self._sending: asyncio.Task[None] | None = None
        self._acknowledged: dict[int, int] = {}
        self._closed = False

    def partition_of(self, key: str | None) -> int:
        """The partition of a key; without one, that of the writer."""
        if self._partitions == 1:
            return 0
        return self._hash_of((key if key is not None else self._writer).encode()) % self._partitions

    def acknowledged(self, partition: int) -> int:
        """The offset behind the last event of this log's own in `partition`; 0 if there is none."""
        return self._acknowledged.get(partition, 0)

    async def append(self, drafts: Sequence[Draft]) -> list[Event]:
        """See `Log.append`. Waits at most `APPEND_SECONDS_MAX`; after that the append stays queued."""
        sizes, plain = check_all(drafts)
        check_batch(sizes)
        if not drafts:
            return []
        if plain:
            part = self._enqueue_new(drafts, sum(sizes))
        else:
            check_partitions(drafts, self._partitions)
            single = list({id(draft): draft for draft in drafts}.values())
            if is_conditional(drafts):
                only_partition([self._partition_for(draft) for draft in drafts])
            while pending := self._pending(single):
                await self._settled(pending, drafts)
            part = self._enqueue_any(single, sum(sizes))
            if len(single) < len(drafts):
                await self._settled(part, drafts)
                events = dict(zip(map(id, single), part.events, strict=True))
                return [events[id(draft)] for draft in drafts]
        await self._settled(part, drafts)
        return part.events

    async def _settled(self, part: PendingAppend, drafts: Sequence[Draft]) -> None:
        if not part.settled and not await part.wait(APPEND_SECONDS_MAX):
            raise AppendInDoubt(
                f"the journal service at {self._connection.place} has not acknowledged an append for "
                f"{APPEND_SECONDS_MAX:g} s; it stays queued. Append the same drafts again to keep waiting.",
                tuple(drafts),
            )
        if part.error is not None:
            raise part.error

    # -- into the queue; nothing is awaited between number and queue, so its order is that of the numbers --------------

    def _enqueue_new(self, drafts: Sequence[Draft], size: int) -> PendingAppend:
        self._check_room(size)
        first = self._seq + 1
        self._seq += len(drafts)
        number_all(drafts, self._writer, first)
        several = self._partition_for if self._partitions > 1 else None
        partitions = {0} if several is None else {*map(several, drafts)}
        since = self._reached.of(partitions)
        self._remember(first, since)
        return self._enqueue(PendingAppend(drafts, size, run_of(drafts, first, since, several)))

    def _enqueue_any(self, drafts: Sequence[Draft], size: int) -> PendingAppend:
        self._check_room(size)
        partitions = {self._partition_for(draft) for draft in drafts}
        repeated = [draft for draft in drafts if draft.seq]
        since = self._reached.of(partitions)
        for draft in repeated:
            known = self._since_of(draft)
            since = {each: min(offset, known.get(each, 0)) for each, offset in since.items()}
        first = self._seq + 1
        for draft in drafts:
            if not draft.seq:
                self._seq += 1
                draft.writer, draft.seq = self._writer, self._seq
        if self._seq >= first:
            self._remember(first, since)
        return self._enqueue(PendingAppend(drafts, size, mixed_of(drafts, since, self._partition_for)))

    def _enqueue(self, part: PendingAppend) -> PendingAppend:
        self._queue.append(part)
        if self._sending is None:
            self._sending = asyncio.get_running_loop().create_task(self._send(), name="journeyman-http-appends")
        return part

    def _check_room(self, size: int) -> None:
        if self._closed:
            raise JournalClosed("the journal is closed; open it again to continue")
        waiting = sum(part.size for part in (*self._queue, *self._underway))
        if waiting and waiting + size > APPEND_QUEUE_BYTES_MAX:
            raise JournalUnavailable(
                f"{waiting:,} bytes of appends wait for the journal service at {self._connection.place}, the limit is "
                f"{APPEND_QUEUE_BYTES_MAX:,}; nothing of this one was sent. Try again when it answers."
            )

    def _partition_for(self, draft: Draft) -> int:
        return draft.partition if draft.partition is not None else self.partition_of(draft.key)

    def _pending(self, drafts: Sequence[Draft]) -> PendingAppend | None:
        """A part on its way that holds one of these drafts."""
        if not (self._queue or self._underway):
            return None
        for draft in drafts:
            if draft.seq:
                for part in (*self._underway, *self._queue):
                    if part.holds(draft.writer, draft.seq):
                        return part
        return None

    def _remember(self, first: int, since: dict[int, int]) -> None:
        self._since.append((first, since))
        if len(self._since) > 2 * APPENDS_REMEMBERED:
            del self._since[1 : APPENDS_REMEMBERED + 1]

    def _since_of(self, draft: Draft) -> dict[int, int]:
        """The offsets before which a draft that was handed in before cannot stand; {} if that is not known."""
        if draft.writer != self._writer:
            return {}
        index = bisect.bisect_right(self._since, draft.seq, key=lambda each: each[0]) - 1
        return self._since[0][1] | self._since[max(0, index)][1]

    # -- out of it -----------------------------------------------------------------------------------------------------

    async def _send(self) -> None:
        try:
            while self._queue:
                size = 0
                while self._queue and len(self._underway) < PARTS_MAX:
                    size += self._queue[0].size
                    if self._underway and size > APPEND_REQUEST_BYTES:
                        break
                    self._underway.append(self._queue.popleft())
                await self._deliver()
        finally:
            self._sending = None

    async def _deliver(self) -> None:
        """Send the parts that are underway, again and again, until each has its outcome."""
        attempt = 0
        while self._underway:
            answered = await self._attempt(self._underway)
            self._underway = [part for part in self._underway if not part.settled]
            if self._underway:
                if attempt == 0 or answered:
                    logger.debug("an append to %s is tried again", self._connection.place)
                await asyncio.sleep(backoff(attempt))
                attempt += 1

    async def _attempt(self, parts: Sequence[PendingAppend]) -> bool:
        """Send parts once and settle those whose outcome it brings; return whether the service has answered."""
        body = pack((self._writer, [part.wire for part in parts]))
        loop = asyncio.get_running_loop()
        begun = loop.time()
        loop.call_soon(_make_events, parts)  # after the request is sent: in the time that the service takes
        try:
            answer = await self._connection.once("POST", "/log/append", body)
            outcomes = outcomes_of(answer)
        except msgspec.MsgspecError as error:
            self._refuse_all(parts, JournalError(f"the answer to an append cannot be read: {error}"))
            return True
        except Exception as error:
            if may_pass(error):
                for part in parts:
                    part.attempted = True
                return False
            self._refuse_all(parts, error)
            return True
        for part, outcome in zip(parts, outcomes, strict=False):
            if isinstance(outcome, Landed):
                part.land(outcome)
                self._note(part)
                continue
            refusal = error_from(outcome.problem, 500, self._connection.place)
            if may_pass(refusal):
                part.attempted = True
            else:
                part.fail(self._told(refusal), forget=True)
        seconds = loop.time() - begun
        landed = [part for part in parts if part.events]
        if landed:
            self.counts.add(
                len(landed), sum(len(part.events) for part in landed), sum(part.bytes for part in landed), seconds
            )
        return True

    def _note(self, part: PendingAppend) -> None:
        partition = part.events[0].partition
        for event in (part.events[-1],) if part.events[-1].partition == partition else part.events:
            self._acknowledged[event.partition] = max(event.offset + 1, self.acknowledged(event.partition))
            self._reached.note(event.partition, event.offset + 1)

    def _refuse_all(self, parts: Sequence[PendingAppend], error: Exception) -> None:
        """End parts whose request was refused as a whole; what was sent before may have landed."""
        error = self._told(error)
        for part in parts:
            if part.attempted and not isinstance(error, JournalGone):
                doubt = (
                    f"an append may have landed, and the service refuses to say: {error} Append it again afterwards."
                )
                part.fail(AppendInDoubt(doubt), forget=False)
            else:
                part.fail(error, forget=True)

    def _told(self, error: Exception) -> Exception:
        if isinstance(error, JournalGone):
            self._broken(error)
        return error

    def end(self, error: JournalError) -> None:
        """Fail all appends on their way: the journal is not the one that was opened."""
        for part in (*self._underway, *self._queue):
            part.fail(error, forget=False)

    async def stop(self) -> int:
        """Wait at most `CLOSE_SECONDS_MAX` for the queue, fail the rest, and return the number of its appends."""
        self._closed = True
        sending = self._sending
        if sending is not None:
            await asyncio.wait((sending,), timeout=CLOSE_SECONDS_MAX)
            if not sending.done():
                sending.cancel()
                await asyncio.wait((sending,))
        left = [part for part in (*self._underway, *self._queue) if not part.settled]
        for part in left:
            part.fail(
                AppendInDoubt("the journal was closed before the service had answered: append the drafts again"),
                forget=False,
            )
        return len(left)


def _make_events(parts: Sequence[PendingAppend]) -> None:
    for part in parts:
        part.make_events()
