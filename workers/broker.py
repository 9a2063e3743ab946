"""The broker: submits messages to the journal, and takes them back."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from ..journal.errors import EventConflict
from ..journal.event import Draft, Event, check
from ..journal.forking import tell_of_forks
from ..journal.limits import BATCH_BYTES_MAX, BATCH_EVENTS_MAX, CONDITION_BYTES_MAX
from ..journal.synchronous import Journal
from ..journal.url import anchored
from .admission import Admission, several_refused, submit_next, submit_unknown
from .disposition import Disposition, Effect
from .doubts import Doubts
from .errors import MessageAlreadyExistsError
from .lookup import task_lookup
from .message import Message, encode_message
from .pausing import pause_queue, resume_queue
from .rules import names
from .rules.facts import dead_letter_context
from .rules.transitions import State
from .rules.view import Verdict


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
        tell_of_forks(self)

    @property
    def has_journal(self) -> bool:
        """Whether a journal was named; otherwise the environment, or a worker, says which."""
        return self._url is not None

    @property
    def journal(self) -> Journal:
        """The journal, opened at first use, by whichever thread comes first."""
        journal = self._journal
        if journal is None:
            with self._opening:
                journal = self._journal = self._journal or Journal(self._url)
        return journal

    @property
    def opening_url(self) -> str | None:
        """The URL that opens the journal that was named, from anywhere: never to be shown. None if none was named."""
        return self._url

    def bind(self, journal: Journal | str) -> None:
        """Use `journal` from now on; a worker has the brokers of its tasks use its own, also when it has left.

        A journal that was in use before is left open: others may have it.
        """
        check_journal(journal, "bind")
        self._doubts = Doubts()
        with self._opening:
            self._journal, self._url = _named(journal)

    def submit(self, message: Message, *, new: bool = False) -> Event:
        """Accept a message: when this returns it is durable and cannot be lost.

        `MessageAlreadyExistsError` if the journal holds a task of its id. With `new` it is not looked for: the id was
        made for this message just now and has never been handed in, as with an id that `Message` made itself. After an
        `AppendInDoubt`, or an interrupt, handing the message in again is safe.
        """
        draft = self._doubts.draft_of(message) or submission(message)
        batch = ((message, draft),)
        if (new or self._made.message is message) and draft.expected is None:
            return self._append(batch)[0]
        admission = self._admit(batch)
        if not admission.accepted:
            raise next(iter(admission.refused.values()))
        return admission.accepted[0]

    def submit_made(self, message: Message) -> None:
        """Submit a message whose id was made for it just now, by `submit`, which a subclass may have of its own."""
        outer, self._made.message = self._made.message, message
        try:
            self.submit(message)
        finally:
            self._made.message = outer

    def submit_all(self, messages: Iterable[Message], *, new: bool = False) -> int:
        """Accept many messages, as few appends as the limits allow; returns how many. Each append is all or none.

        Those whose ids the journal holds are refused and the others accepted: `MessageAlreadyExistsError` says at the
        end which. `new` is as in `submit`.
        """
        drafts = ((message, self._doubts.draft_of(message) or submission(message)) for message in messages)
        if new:
            return sum(len(self._append(batch)) for batch in batches(drafts))
        accepted: list[str] = []
        refused: dict[str, MessageAlreadyExistsError] = {}
        log = self.journal.run(self.journal.asynchronous.open())
        for batch in batches(drafts, lambda draft: log.partition_of(draft.key)):
            admission = self._admit(batch)
            accepted += [str(event.key) for event in admission.accepted]
            refused.update(admission.refused)
        if refused:
            raise several_refused(refused, accepted)
        return len(accepted)

    def _append(self, batch: Sequence[tuple[Message, Draft]]) -> list[Event]:
        try:
            events = self.journal.append_drafts([draft for _, draft in batch])
        except BaseException:
            self._doubts.keep(batch)
            raise
        self._doubts.forget(batch)
        return events

    def _admit(self, batch: Sequence[tuple[Message, Draft]]) -> Admission:
        journal = self.journal
        try:
            event = submit_next(journal.asynchronous, batch[0][1]) if len(batch) == 1 else None
            if event is not None:
                admission = Admission([event], {})
            else:
                admission = journal.run(submit_unknown(journal.asynchronous, [draft for _, draft in batch]))
        except BaseException:
            self._doubts.keep(batch)
            raise
        self._doubts.forget(batch)
        return admission

    def revoke(self, message: Message | str, *, by: str | None = None, reason: str | None = None) -> Effect:
        """Take a task out of the queue, whether it waits or runs; a late outcome of it is refused.

        Says what became of that: `REVOKED`, `ALREADY_ENDED`, or `UNKNOWN` if the journal holds no such task. `by` and
        `reason`, who does so and why, are written into the event, here and in the other calls that take them.
        """
        task_id = _id(message)
        event = self.journal.append(names.REVOKED, {"task": task_id, **signed(by, reason)}, key=task_id)
        return self._effect(task_id, event, Disposition.REVOKED, Disposition.ALREADY_ENDED)

    def requeue(self, message: Message | str, *, by: str | None = None, reason: str | None = None) -> Effect:
        """Let a dead letter run again, its attempts forgotten.

        Says what became of that: `REQUEUED`, `NOT_A_DEAD_LETTER`, or `UNKNOWN` if the journal holds no such task.
        """
        task_id = _id(message)
        event = self.journal.run(self._append_about_dead(names.REQUEUED, task_id, signed(by, reason)))
        return self._effect(task_id, event, Disposition.REQUEUED, Disposition.NOT_A_DEAD_LETTER)

    def purge(self, message: Message | str, *, by: str | None = None, reason: str | None = None) -> Effect:
        """Take a dead letter out of the dead letters for good: it cannot be requeued any more. Its history stays.

        Says what became of that: `PURGED`, `NOT_A_DEAD_LETTER`, or `UNKNOWN` if the journal holds no such task.
        """
        task_id = _id(message)
        event = self.journal.run(self._append_about_dead(names.PURGED, task_id, signed(by, reason)))
        return self._effect(task_id, event, Disposition.PURGED, Disposition.NOT_A_DEAD_LETTER)

    def pause(self, queue: str, *, by: str | None = None, reason: str | None = None) -> bool:
        """Have no worker claim tasks of that queue until it is resumed; what runs goes on. Durable.

        A claim that a worker makes before it has read of the pause counts. False if the queue was paused already.
        """
        return bool(self.journal.run(pause_queue(self.journal.asynchronous, queue, signed(by, reason))))

    def resume(self, queue: str, *, by: str | None = None, reason: str | None = None) -> bool:
        """Let workers claim tasks of that queue again; False if it was not paused."""
        return bool(self.journal.run(resume_queue(self.journal.asynchronous, queue, signed(by, reason))))

    async def _append_about_dead(self, name: str, task_id: str, told: Mapping[str, str]) -> Event:
        """Append it with what workers that have forgotten the dead letter need to requeue or purge it.

        They cannot tell a dead letter from a task that has succeeded since: so only if nothing has happened to it since
        it was looked up.
        """
        journal = self.journal.asynchronous
        while True:
            task, trace, end = await task_lookup(journal).find(task_id)
            row = trace.rows.get(task.submitted) if task is not None and task.state is State.FAILED else None
            if task is None or row is None:
                return await journal.append(name, {"task": task_id, **told}, key=task_id)
            with suppress(EventConflict):
                context = {**dead_letter_context(row, task.submitted), **told}
                return await journal.append(name, context, key=task_id, expected=end)

    def _effect(self, task_id: str, event: Event, taken: Disposition, refused: Disposition) -> Effect:
        """What the log has decided about the event, as of a moment after it."""
        found = self.journal.run(task_lookup(self.journal.asynchronous).find(task_id))
        task = found.task
        if found.verdict(event.offset) is Verdict.ACCEPTED or (task is not None and task.changed == event.offset):
            return Effect(taken, event)
        return Effect(Disposition.UNKNOWN if task is None else refused, event)

    def after_fork_in_child(self) -> None:
        """Start with a lock of its own: the thread that opened the journal is in the parent."""
        self._opening = threading.Lock()
        self._doubts = Doubts()


class _Made(threading.local):
    """The message that this thread submits and whose id was made for it just now."""

    message: Message | None = None


def bind_all(brokers: Iterable[Broker], url: str) -> set[str]:
    """Have the brokers of a worker's tasks use its journal: elsewhere nobody may run what its tasks submit.

    Where they name several journals it is meant that tasks submit to others, and only those that name none are bound.
    Returns the URLs of journals that were named and are not used.
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
    """A journal that is there already, and the URL that opens it; not from this directory only, which may change."""
    if isinstance(journal, Journal):
        return journal, journal.asynchronous.opening_url
    return None, None if journal is None else anchored(journal)


def check_journal(journal: object, taker: str) -> None:
    """Refuse what is neither a journal nor its URL; `taker` is who was given it."""
    if not isinstance(journal, Journal | str):
        raise TypeError(
            f"{taker}() takes a Journal or its URL, got a value of type {type(journal).__name__}; pass a URL such as "
            "'sqlite:///shop.db', or the Journal(…) made of it"
        )


def _id(message: Message | str) -> str:
    return message if isinstance(message, str) else message.uuid


def signed(by: str | None, reason: str | None) -> dict[str, str]:
    """What an event says of who asked for it, and why, as far as it is known."""
    return {name: said for name, said in (("by", by), ("reason", reason)) if said}


def submission(message: Message) -> Draft:
    """The draft of a message's `task.submitted`."""
    return Draft(names.SUBMITTED, encode_message(message), message.uuid)


def batches(
    drafts: Iterable[tuple[Message, Draft]], partition_of: Callable[[Draft], int] | None = None
) -> Iterator[list[tuple[Message, Draft]]]:
    """Group drafts, with their messages, into appends that keep within the limits of one batch.

    With `partition_of` each append is of one partition, and has room for a condition on each draft.
    """
    waiting: dict[int, tuple[list[tuple[Message, Draft]], int]] = {}
    partition = 0
    for message, draft in drafts:
        bytes_needed = check(draft)
        if partition_of is not None:
            partition = partition_of(draft)
            bytes_needed += CONDITION_BYTES_MAX + 6 * len(message.uuid)
        batch, size = waiting.get(partition, ([], 0))
        if batch and (len(batch) >= BATCH_EVENTS_MAX or size + bytes_needed > BATCH_BYTES_MAX):
            yield batch
            batch, size = [], 0
        batch.append((message, draft))
        waiting[partition] = (batch, size + bytes_needed)
    for batch, _ in waiting.values():
        yield batch
