"""The broker: submits messages to the journal; revokes, requeues and purges tasks; pauses queues."""

import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from ..journal.async_journal import AsyncJournal
from ..journal.event import Event
from ..journal.journal import Journal
from ..journal.runtime.forks import reset_after_fork
from ..journal.url import anchored
from .access import JournalAccess
from .admission import submit_next
from .broker_calls import AsyncBrokerCalls, BrokerCalls
from .doubts import Doubts
from .durations import Duration
from .large_results import LargeResults, checked_large_results
from .lookup import task_lookup
from .message import Message
from .serializers import AnySerializer, checked_serializer
from .submitting import Tally, batches, draft_for, hand_in, keep_in_doubt, only_one
from .time_to_live import checked_ttl, set_ttl
from .tracing import submitting, submitting_all, tracer

T = TypeVar("T")


class Broker(BrokerCalls):
    """Submits messages to `journal`: a `Journal`, its URL, or None for the one in `JOURNEYMAN_JOURNAL`.

    A journal given by URL, or not at all, is opened at first use, so that a module of tasks can be imported anywhere.
    `dlq_ttl`: after so many ms, or a `timedelta`, a dead letter is purged, once this broker is asked about it; None
    keeps dead letters.
    `serializer` and `large_results` hold for its tasks that have none of their own, see `Task`.
    """

    def __init__(
        self,
        journal: Journal | str | None = None,
        dlq_ttl: Duration | None = None,
        *,
        serializer: AnySerializer | None = None,
        large_results: LargeResults = "refuse",
    ) -> None:
        if journal is not None:
            check_journal(journal, "Broker")
        self.dlq_ttl = checked_ttl(dlq_ttl, "dlq_ttl")
        self.serializer = checked_serializer(serializer)
        self.large_results = checked_large_results(large_results)
        self._opening = threading.Lock()
        self._journal, self._url = _named(journal)
        self._doubts = Doubts()
        self._made = _Made()
        reset_after_fork(self)
        _brokers.add(self)
        for lend in _lenders:
            lend(self)

    @property
    def has_journal(self) -> bool:
        """Whether a journal was named; otherwise the environment or a worker determines it."""
        return self._url is not None

    @property
    def journal(self) -> Journal:
        """The journal, opened at first use, by the first thread that asks."""
        journal = self._journal
        if journal is None:
            with self._opening:
                journal = self._journal = self._journal or Journal(self._url)
        return journal

    @property
    def opening_url(self) -> str | None:
        """The URL of the journal that was named, secrets included: never to be shown. None if none was named."""
        return self._url

    def bind(self, journal: Journal | str) -> None:
        """Use `journal` from now on. A worker binds the brokers of its tasks to its own journal for good.

        A journal that was in use before is left open: other code may use it.
        """
        check_journal(journal, "bind")
        self._doubts = Doubts()
        with self._opening:
            self._journal, self._url = _named(journal)

    def lend(self, journal: Journal) -> Callable[[], None]:
        """Use `journal` until the function that this returns is called; then the present one, with its doubts, again.

        A journal that was not opened yet is not opened by this.
        """
        before = self._journal, self._url, self._doubts
        self.bind(journal)

        def give_back() -> None:
            with self._opening:
                self._journal, self._url, self._doubts = before

        return give_back

    @property
    def asynchronous(self) -> "AsyncBroker":
        """The same broker for asyncio, with the same journal and the same submissions in doubt."""
        return AsyncBroker(self)

    @property
    def doubts(self) -> Doubts:
        """The submissions in doubt: those of which it is unknown whether they landed."""
        return self._doubts

    def submit(self, message: Message, ttl: Duration | None = None, *, new: bool = False) -> Event:
        """Append a message to the journal; when this returns, it is durable.

        If no worker has begun the task `ttl` ms from now, or a `timedelta`, it lapses: it ends as failed, with the
        reason "expired". `MessageAlreadyExistsError` if the journal holds a task of its id. With `new` the caller
        states that the id was just made for this message and was never submitted, as with an id that `Message` made
        itself; then it is not looked up. After a `SubmissionInDoubt`, which is an `AppendInDoubt`, or an interrupt,
        submitting the same message again is safe.
        """
        if (tracing := tracer()) is None:
            return self._submit(message, ttl, new=new)
        with submitting(tracing, message):
            return self._submit(message, ttl, new=new)

    def _submit(self, message: Message, ttl: Duration | None, *, new: bool) -> Event:
        if ttl is not None:
            set_ttl(message, ttl)
        journal, doubts = self.journal, self._doubts
        is_made = self._made.message is message
        new = new or is_made
        draft = draft_for(doubts, message)
        batch = ((message, draft),)
        try:
            if new and draft.expected is None:
                event = journal.asynchronous.append_nowait(draft)
            else:
                event = submit_next(journal.asynchronous, draft)
        except BaseException as error:
            keep_in_doubt(doubts, batch, error)
            raise
        if event is not None:
            doubts.forget(batch)
        else:
            handing_in = hand_in(journal.asynchronous, doubts, batch, new=new)
            event = only_one(journal.run(handing_in, instead="task.generate_async or AsyncBroker.submit"))
        if is_made:
            task_lookup(journal.asynchronous).recent.note_submission(event)
        return event

    def submit_made(self, message: Message) -> None:
        """Submit a message with a fresh id, through `submit`, which a subclass may override."""
        outer, self._made.message = self._made.message, message
        try:
            self.submit(message)
        finally:
            self._made.message = outer

    def submit_all(self, messages: Iterable[Message], *, new: bool = False) -> int:
        """Append many messages, in as few appends as the limits allow; return how many. Each append is atomic.

        Messages whose ids the journal holds are refused, the others accepted; at the end `MessageAlreadyExistsError`
        names them. `new` is as in `submit`.
        """
        if (tracing := tracer()) is None:
            return self._submit_all(messages, new=new)
        with submitting_all(tracing, messages) as marked:
            return self._submit_all(marked, new=new)

    def _submit_all(self, messages: Iterable[Message], *, new: bool) -> int:
        journal, instead, tally = self.journal, "AsyncBroker.submit_all", Tally()
        log = journal.run(journal.asynchronous.open(), instead=instead)
        drafts = ((message, draft_for(self._doubts, message)) for message in messages)
        for batch in batches(drafts, None if new else lambda draft: log.partition_of(draft.key)):
            tally.add(journal.run(hand_in(journal.asynchronous, self._doubts, batch, new=new), instead=instead))
        return tally.accepted()

    def after_fork_in_child(self) -> None:
        """Start with a new lock: a thread of the parent may have held the inherited one."""
        self._opening = threading.Lock()
        self._doubts = Doubts()


class AsyncBroker(AsyncBrokerCalls):
    """`Broker` for asyncio: submits to `journal`, an `AsyncJournal`, a `Journal`, or that of a `Broker`.

    `broker.asynchronous` is the one of a task's broker; `await task.generate_async(…)` submits by it.
    """

    def __init__(self, journal: AsyncJournal | Journal | Broker, dlq_ttl: Duration | None = None) -> None:
        self._dlq_ttl = checked_ttl(dlq_ttl, "dlq_ttl")
        self._broker = journal if isinstance(journal, Broker) else None
        self._access = None if isinstance(journal, Broker) else JournalAccess(journal, "AsyncBroker")
        self._own_doubts = Doubts()

    def _there(self) -> tuple[JournalAccess, Doubts]:
        """Return the present journal and its doubts: a worker may have bound the broker to another journal."""
        if self._broker is not None:
            return JournalAccess(self._broker.journal, "AsyncBroker"), self._broker.doubts
        assert self._access is not None, "one of the two was given"
        return self._access, self._own_doubts

    @property
    def opening_url(self) -> str:
        """The URL of the journal, secrets included: never to be shown."""
        return self._there()[0].journal.opening_url

    def _access_now(self) -> JournalAccess:
        return self._there()[0]

    @property
    def dlq_ttl(self) -> int | None:
        """See `Broker`; that of the broker that it belongs to, if it belongs to one."""
        return self._dlq_ttl if self._broker is None else self._broker.dlq_ttl

    async def submit(self, message: Message, ttl: Duration | None = None, *, new: bool = False) -> Event:
        """See `Broker.submit`. If it is cancelled, submitting the same message again is safe as well."""
        if (tracing := tracer()) is None:
            return await self._submit(message, ttl, new=new)
        with submitting(tracing, message):
            return await self._submit(message, ttl, new=new)

    async def _submit(self, message: Message, ttl: Duration | None, *, new: bool) -> Event:
        if ttl is not None:
            set_ttl(message, ttl)
        access, doubts = self._there()
        batch = ((message, draft_for(doubts, message)),)
        return only_one(await access.run(hand_in(access.journal, doubts, batch, new=new)))

    async def submit_made(self, message: Message) -> None:
        """Submit a message with a fresh id, through `submit`, which a subclass may override."""
        event = await self.submit(message, new=True)
        task_lookup(self._there()[0].journal).recent.note_submission(event)

    async def submit_all(self, messages: Iterable[Message], *, new: bool = False) -> int:
        """See `Broker.submit_all`."""
        if (tracing := tracer()) is None:
            return await self._submit_all(messages, new=new)
        with submitting_all(tracing, messages) as marked:
            return await self._submit_all(marked, new=new)

    async def _submit_all(self, messages: Iterable[Message], *, new: bool) -> int:
        access, doubts = self._there()
        tally, log = Tally(), await access.run(access.journal.open())
        drafts = ((message, draft_for(doubts, message)) for message in messages)
        for batch in batches(drafts, None if new else lambda draft: log.partition_of(draft.key)):
            tally.add(await access.run(hand_in(access.journal, doubts, batch, new=new)))
        return tally.accepted()


class _Made(threading.local):
    """The message with a fresh id that this thread is submitting."""

    message: Message | None = None


def bind_all(brokers: Iterable[Broker], url: str) -> set[str]:
    """Bind the brokers of a worker's tasks to its journal: on another one, no worker may run what its tasks submit.

    If the brokers name several journals, that is taken as intended, and only those that name none are bound. Returns
    the URLs of journals that were named and are not used.
    """
    brokers = list(brokers)
    named = {broker.opening_url for broker in brokers if broker.has_journal}
    given_up: set[str] = set()
    for broker in brokers:
        own = broker.opening_url
        if own is None or (len(named) == 1 and own != url):
            broker.bind(url)
            if own is not None:
                given_up.add(own)
    return given_up


_brokers: Final["weakref.WeakSet[Broker]"] = weakref.WeakSet()
_lenders: Final[list[Callable[[Broker], None]]] = []


@contextmanager
def all_lent(journal: Journal) -> Iterator[None]:
    """Have all brokers of this process use `journal`, also those that are made meanwhile; then their own ones again."""
    lent: list[Callable[[], None]] = []

    def lend(broker: Broker) -> None:
        lent.append(broker.lend(journal))

    _lenders.append(lend)
    try:
        for broker in list(_brokers):
            lend(broker)
        yield
    finally:
        _lenders.remove(lend)
        for give_back in lent:
            give_back()


def _named(journal: Journal | str | None) -> tuple[Journal | None, str | None]:
    """Return the journal, if it was passed as an object, and its URL, made independent of the current directory."""
    if isinstance(journal, Journal):
        return journal, journal.asynchronous.opening_url
    return None, None if journal is None else anchored(journal)


def check_journal(journal: object, taker: str) -> None:
    """Raise `TypeError` if `journal` is neither a journal nor a URL; `taker` is the name of the callee."""
    if not isinstance(journal, Journal | str):
        raise TypeError(
            f"{taker}() takes a Journal or its URL, got a value of type {type(journal).__name__}; pass a URL such as "
            "'sqlite:///shop.db', or the Journal(…) made of it"
        )
