"""The broker: submits messages to the journal; revokes, requeues and purges tasks; pauses queues."""

import threading
from collections.abc import Iterable

from ..journal.async_journal import AsyncJournal
from ..journal.event import Event
from ..journal.journal import Journal
from ..journal.runtime.forks import reset_after_fork
from ..journal.url import anchored
from .access import JournalAccess
from .acting import purge, requeue, revoke, signed
from .admission import submit_next
from .disposition import Effect
from .doubts import Doubts
from .message import Message, id_of
from .pausing import pause_queue, resume_queue
from .submitting import Tally, batches, draft_for, hand_in, keep_in_doubt, only_one


class Broker:
    """Submits messages to `journal`: a `Journal`, its URL, or None for the one in `JOURNEYMAN_JOURNAL`.

    A journal given by URL, or not at all, is opened at first use, so that a module of tasks can be imported anywhere.
    """

    def __init__(self, journal: Journal | str | None = None) -> None:
        if journal is not None:
            check_journal(journal, "Broker")
        self._opening = threading.Lock()
        self._journal, self._url = _named(journal)
        self._doubts = Doubts()
        self._made = _Made()
        reset_after_fork(self)

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

    @property
    def asynchronous(self) -> "AsyncBroker":
        """The same broker for asyncio, with the same journal and the same submissions in doubt."""
        return AsyncBroker(self)

    @property
    def doubts(self) -> Doubts:
        """The submissions in doubt: those of which it is unknown whether they landed."""
        return self._doubts

    def submit(self, message: Message, *, new: bool = False) -> Event:
        """Append a message to the journal; when this returns, it is durable.

        `MessageAlreadyExistsError` if the journal holds a task of its id. With `new` the caller states that the id was
        just made for this message and was never submitted, as with an id that `Message` made itself; then it is not
        looked up. After a `SubmissionInDoubt`, which is an `AppendInDoubt`, or an interrupt, submitting the same
        message again is safe.
        """
        journal, doubts = self.journal, self._doubts
        new = new or self._made.message is message
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
            return event
        handing_in = hand_in(journal.asynchronous, doubts, batch, new=new)
        return only_one(journal.run(handing_in, instead="task.generate_async or AsyncBroker.submit"))

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
        journal, instead, tally = self.journal, "AsyncBroker.submit_all", Tally()
        log = journal.run(journal.asynchronous.open(), instead=instead)
        drafts = ((message, draft_for(self._doubts, message)) for message in messages)
        for batch in batches(drafts, None if new else lambda draft: log.partition_of(draft.key)):
            tally.add(journal.run(hand_in(journal.asynchronous, self._doubts, batch, new=new), instead=instead))
        return tally.accepted()

    def revoke(self, message: Message | str, *, by: str | None = None, reason: str | None = None) -> Effect:
        """Take a task out of the queue, whether it waits or runs; a late outcome of it is refused.

        Returns the effect: `REVOKED`, `ALREADY_ENDED`, or `UNKNOWN` if the journal holds no such task. `by`, the name
        of the caller, and `reason` are written into the event, here and in the other calls that take them.
        """
        revoking = revoke(self.journal.asynchronous, id_of(message), signed(by, reason))
        return self.journal.run(revoking, instead="AsyncBroker.revoke")

    def requeue(self, message: Message | str, *, by: str | None = None, reason: str | None = None) -> Effect:
        """Let a dead letter run again, its attempts forgotten.

        Returns the effect: `REQUEUED`, `NOT_A_DEAD_LETTER`, or `UNKNOWN` if the journal holds no such task.
        """
        requeueing = requeue(self.journal.asynchronous, id_of(message), signed(by, reason))
        return self.journal.run(requeueing, instead="AsyncBroker.requeue")

    def purge(self, message: Message | str, *, by: str | None = None, reason: str | None = None) -> Effect:
        """Remove a task from the dead letters for good: it cannot be requeued any more. Its history stays.

        Returns the effect: `PURGED`, `NOT_A_DEAD_LETTER`, or `UNKNOWN` if the journal holds no such task.
        """
        purging = purge(self.journal.asynchronous, id_of(message), signed(by, reason))
        return self.journal.run(purging, instead="AsyncBroker.purge")

    def pause(self, queue: str, *, by: str | None = None, reason: str | None = None) -> bool:
        """Have no worker claim tasks of that queue until it is resumed; what runs goes on. Durable.

        A claim that a worker makes before it has read of the pause counts. False if the queue was paused already.
        """
        pausing = pause_queue(self.journal.asynchronous, queue, signed(by, reason))
        return bool(self.journal.run(pausing, instead="AsyncBroker.pause"))

    def resume(self, queue: str, *, by: str | None = None, reason: str | None = None) -> bool:
        """Let workers claim tasks of that queue again; False if it was not paused."""
        resuming = resume_queue(self.journal.asynchronous, queue, signed(by, reason))
        return bool(self.journal.run(resuming, instead="AsyncBroker.resume"))

    def after_fork_in_child(self) -> None:
        """Start with a new lock: a thread of the parent may have held the inherited one."""
        self._opening = threading.Lock()
        self._doubts = Doubts()


class AsyncBroker:
    """`Broker` for asyncio: submits to `journal`, an `AsyncJournal`, a `Journal`, or that of a `Broker`.

    `broker.asynchronous` is the one of a task's broker; `await task.generate_async(…)` submits by it.
    """

    def __init__(self, journal: AsyncJournal | Journal | Broker) -> None:
        self._broker = journal if isinstance(journal, Broker) else None
        self._access = None if isinstance(journal, Broker) else JournalAccess(journal, "AsyncBroker")
        self._own_doubts = Doubts()

    def _there(self) -> tuple[JournalAccess, Doubts]:
        """Return the present journal and its doubts: a worker may have bound the broker to another journal."""
        if self._broker is not None:
            return JournalAccess(self._broker.journal, "AsyncBroker"), self._broker.doubts
        assert self._access is not None, "one of the two was given"
        return self._access, self._own_doubts

    async def submit(self, message: Message, *, new: bool = False) -> Event:
        """See `Broker.submit`. If it is cancelled, submitting the same message again is safe as well."""
        access, doubts = self._there()
        batch = ((message, draft_for(doubts, message)),)
        return only_one(await access.run(hand_in(access.journal, doubts, batch, new=new)))

    async def submit_all(self, messages: Iterable[Message], *, new: bool = False) -> int:
        """See `Broker.submit_all`."""
        access, doubts = self._there()
        tally, log = Tally(), await access.run(access.journal.open())
        drafts = ((message, draft_for(doubts, message)) for message in messages)
        for batch in batches(drafts, None if new else lambda draft: log.partition_of(draft.key)):
            tally.add(await access.run(hand_in(access.journal, doubts, batch, new=new)))
        return tally.accepted()

    async def revoke(self, message: Message | str, *, by: str | None = None, reason: str | None = None) -> Effect:
        """See `Broker.revoke`."""
        access, _ = self._there()
        return await access.run(revoke(access.journal, id_of(message), signed(by, reason)))

    async def requeue(self, message: Message | str, *, by: str | None = None, reason: str | None = None) -> Effect:
        """See `Broker.requeue`."""
        access, _ = self._there()
        return await access.run(requeue(access.journal, id_of(message), signed(by, reason)))

    async def purge(self, message: Message | str, *, by: str | None = None, reason: str | None = None) -> Effect:
        """See `Broker.purge`."""
        access, _ = self._there()
        return await access.run(purge(access.journal, id_of(message), signed(by, reason)))

    async def pause(self, queue: str, *, by: str | None = None, reason: str | None = None) -> bool:
        """See `Broker.pause`."""
        access, _ = self._there()
        return bool(await access.run(pause_queue(access.journal, queue, signed(by, reason))))

    async def resume(self, queue: str, *, by: str | None = None, reason: str | None = None) -> bool:
        """See `Broker.resume`."""
        access, _ = self._there()
        return bool(await access.run(resume_queue(access.journal, queue, signed(by, reason))))


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
