"""Iterate over results of many messages, as they come or in order, named as in the reference task queue (`alsek`)."""

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final, Generic, Literal, TypedDict, TypeVar, Unpack

from ..journal.async_journal import AsyncJournal
from ..journal.deadlines import deadline_of, seconds_of
from ..journal.errors import JournalClosed
from ..journal.log import Page
from ..journal.tails.subscriber import Subscriber
from .durations import Duration, milliseconds
from .errors import TaskFailedError, ValidationError
from .lookup import Found, task_lookup, until
from .message import Message, id_of
from .results import AsyncResultStore, Options, Results, ResultStore, is_there
from .serializers import AnySerializer
from .state import names
from .state.decoding import fact

# A message, or its id, as it was given, and its result.
Member = Message | str
Failures = Literal["raise", "yield"]

# After these a member may have ended, or have a result.
_NEWS: Final = frozenset(
    {names.SUCCEEDED, names.FAILED, names.REVOKED, names.LAPSED, names.ACKNOWLEDGED, names.REJECTED, names.NOTED}
)


class PoolOptions(TypedDict, total=False):
    """The options of an iteration; see `ResultPool`."""

    wait: int
    timeout: Duration | None
    failures: Failures
    keep: bool
    with_metadata: bool
    descendants: bool


Iteration = TypeVar("Iteration")


class _Pool(ABC, Generic[Iteration]):
    """What both pools share: they differ in how a gathering is iterated over."""

    @abstractmethod
    def _iterate(self, messages: tuple[Member, ...], options: PoolOptions, *, in_order: bool) -> Iteration: ...

    def istream(self, *messages: Member, **options: Unpack[PoolOptions]) -> Iteration:
        """Each message with its result, as the results come."""
        return self._iterate(messages, options, in_order=False)

    def stream(self, *messages: Member, **options: Unpack[PoolOptions]) -> Iteration:
        """Each message with its result, in the order of the messages."""
        return self._iterate(messages, options, in_order=True)


class ResultPool(_Pool[Iterator[tuple[Member, Any]]]):
    """Iterates over the results of several messages.

    - `timeout`: how long, in ms, the iteration may wait in all; then `TimeoutError`. None waits as long as members run.
    - `failures`: how a member that has failed, was revoked or has lapsed is handled. "raise": the iteration ends with
      its `TaskFailedError`. "yield": the error is yielded in place of the result, and the iteration goes on.
    - `keep`, `with_metadata` and `descendants` as in `ResultStore.get`. Results that were yielded are collected, unless
      kept.
    - `wait` is accepted for compatibility and ignored: the log notifies of new events.

    A member whose result was collected already, or of which the journal knows nothing, is a `KeyError` at once.
    `ValidationError` for a member that is named twice.
    """

    def __init__(self, result_store: ResultStore) -> None:
        if not isinstance(result_store, ResultStore):
            raise TypeError(f"a ResultPool takes a ResultStore(journal), got {result_store!r:.80}")
        self._journal = result_store.journal
        self._serializers = result_store.serializers

    def _iterate(
        self, messages: tuple[Member, ...], options: PoolOptions, *, in_order: bool
    ) -> Iterator[tuple[Member, Any]]:
        journal, serializers = self._journal.asynchronous, self._serializers
        return self._results(Gathering(journal, messages, options, serializers, in_order=in_order))

    def _results(self, gathering: "Gathering") -> Iterator[tuple[Member, Any]]:
        try:
            while (found := self._journal.run(gathering.next(), instead="AsyncResultPool")) is not None:
                yield found
        finally:
            with suppress(JournalClosed):  # then it is closed as well
                self._journal.run(gathering.aclose())


class AsyncResultPool(_Pool[AsyncGenerator[tuple[Member, Any]]]):
    """`ResultPool` for asyncio; the loop goes on while it waits."""

    def __init__(self, result_store: AsyncResultStore) -> None:
        if not isinstance(result_store, AsyncResultStore):
            raise TypeError(f"an AsyncResultPool takes an AsyncResultStore(journal), got {result_store!r:.80}")
        self._access = result_store.access
        self._serializers = result_store.serializers

    def _iterate(
        self, messages: tuple[Member, ...], options: PoolOptions, *, in_order: bool
    ) -> AsyncGenerator[tuple[Member, Any]]:
        return self._results(Gathering(self._access.journal, messages, options, self._serializers, in_order=in_order))

    async def _results(self, gathering: "Gathering") -> AsyncGenerator[tuple[Member, Any]]:
        try:
            while (found := await self._access.run(gathering.next())) is not None:
                yield found
        finally:
            with suppress(JournalClosed):  # then it is closed as well
                await self._access.run(gathering.aclose())


class Gathering:
    """Fetches the results of several messages one by one; for one reader at a time.

    Each member is looked up once. Then the log is followed, and a member is looked up again when an event may end it.
    """

    def __init__(
        self,
        journal: AsyncJournal,
        messages: tuple[Member, ...],
        options: PoolOptions,
        serializers: Sequence[AnySerializer] = (),
        *,
        in_order: bool,
    ) -> None:
        unknown = set(options) - PoolOptions.__annotations__.keys()
        if unknown:
            known = ", ".join(PoolOptions.__annotations__)
            raise TypeError(f"a ResultPool takes no argument {min(unknown)!r}; it takes {known}")
        self._members = {id_of(message): message for message in messages}
        if len(self._members) < len(messages):
            raise ValidationError("a message was passed twice, but has one result: pass each message once")
        self._failures = options.get("failures", "raise")
        if self._failures not in ("raise", "yield"):
            raise ValidationError(f"failures is 'raise' or 'yield', got {self._failures!r:.80}")
        self._journal = journal
        self._lookup = task_lookup(journal)
        self._results = Results(journal, serializers)
        timeout = options.get("timeout")
        self._timeout = None if timeout is None else milliseconds(timeout)
        self._deadline = deadline_of(seconds_of(self._timeout))
        self._options = Options(
            options.get("keep", False), options.get("with_metadata", False), options.get("descendants", False)
        )
        self._in_order = in_order
        self._left = dict(self._members)  # those whose results were not handed out
        self._unseen = deque(self._members)  # those to be looked up
        self._ended: dict[str, Found] = {}  # as they were when their end was seen
        self._expiries: dict[str, float] = {}  # when those that wait lapse, in seconds since the epoch
        self._follower: Subscriber | None = None

    async def next(self) -> tuple[Member, Any] | None:
        """The next message with its result, or with its error; None after the last one."""
        while self._left:
            task_id = next(iter(self._left)) if self._in_order else next(iter(self._ended), None)
            if task_id is not None and task_id in self._ended:
                member = self._left.pop(task_id)
                return member, await self._result(task_id, self._ended.pop(task_id))
            if self._follower is None:
                self._follower = await self._journal.follow((await self._journal.bounds()).end)
            if self._unseen:
                await self._look(self._unseen.popleft())
            else:
                await self._read()
        return None

    async def _result(self, task_id: str, found: Found) -> Any:
        try:
            if self._options.descendants:
                return await self._results.with_descendants(self._members[task_id], self._deadline, self._options)
            return await self._results.of(task_id, found, self._options)
        except TaskFailedError as error:
            if self._failures == "raise":
                raise
            return error

    async def _look(self, task_id: str) -> None:
        self._expiries.pop(task_id, None)
        found = await self._lookup.current(task_id)
        if found.task is None or is_there(found):
            self._ended[task_id] = found
        elif found.expiry is not None and found.expiry > time.time():
            self._expiries[task_id] = found.expiry

    async def _read(self) -> None:
        """Read the next page of the log, and schedule a look-up of the members that may have ended."""
        assert self._follower is not None, "it is opened before anything is looked up"
        remaining = None if self._deadline is None else max(0.0, self._deadline - time.monotonic())
        expiry = min(self._expiries.values(), default=None)
        page = await self._follower.page(timeout=until(expiry, remaining))
        if page is not None:
            self._unseen.extend(self._ended_by(page))
        elif expiry is not None and expiry <= time.time():
            self._unseen.extend(task_id for task_id, at in self._expiries.items() if at <= expiry)
        elif remaining == 0.0:
            raise TimeoutError(
                f"{len(self._left):,} of {len(self._members):,} results have not come in {self._timeout:,} ms"
            )

    def _ended_by(self, page: Page) -> list[str]:
        """Return the members that these events may have ended; an expired session may have ended any that it held."""
        waiting = [task_id for task_id in self._left if task_id not in self._ended]
        found: dict[str, None] = {}
        for row in page.rows:
            said = fact(row)
            if said is not None and said.name == names.EXPIRED:
                return waiting
            if said is not None and said.name in _NEWS and said.context.task in self._left:
                found[said.context.task] = None
        return [task_id for task_id in found if task_id not in self._ended]

    async def aclose(self) -> None:
        """Stop following the log."""
        follower, self._follower = self._follower, None
        if follower is not None:
            await follower.aclose()
