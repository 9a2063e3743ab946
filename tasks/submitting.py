"""Submit messages on the journal's own loop, for `Broker` and `AsyncBroker`."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from ..journal.async_journal import AsyncJournal
from ..journal.errors import AppendInDoubt
from ..journal.event import Draft, Event, check
from ..journal.limits import BATCH_BYTES_MAX, BATCH_EVENTS_MAX, CONDITION_BYTES_MAX
from .admission import Admission, several_refused, submit_unknown
from .chains import check_chain
from .doubts import Doubts, SubmissionInDoubt
from .errors import MessageAlreadyExistsError, ValidationError
from .index.index import task_index
from .message import Message, checked_message
from .message_encoding import encode_message
from .state import names
from .state.routing import is_routed_by, routing_key, submitted_id

# Messages with their drafts, which share an append.
Batch = Sequence[tuple[Message, Draft]]


def submission(message: Message) -> Draft:
    """The draft of a message's `task.submitted`."""
    return Draft(names.SUBMITTED, encode_message(message), routing_key(message.uuid))


def draft_for(doubts: Doubts, message: Message) -> Draft:
    """Return the draft in doubt of an earlier submission of the message, else a new one.

    `ValidationError` for what is no message, and for the id of a link or a tick, which are submitted with the events
    that cause them.
    """
    checked_message(message)
    if "@" in message.uuid and routing_key(message.uuid) != message.uuid and not _is_routed(message):
        raise ValidationError(
            f"an id that ends with '@' and a number or a time is that of a link of a chain or of a tick, got "
            f"{message.uuid!r}. Choose another one, such as {message.uuid.replace('@', '-')!r}"
        )
    if message.callback_message_data is not None:
        check_chain(message)
    return doubts.draft_of(message) or submission(message)


def _is_routed(message: Message) -> bool:
    """Whether the message has the id of a task that is routed by the name of its lock."""
    return message.linked_lock is not None and is_routed_by(message.uuid, str(message.linked_lock.get("name")))


async def hand_in(journal: AsyncJournal, doubts: Doubts, batch: Batch, *, new: bool) -> Admission:
    """Submit one batch, which fits an append; with `new` its ids are not looked up.

    `SubmissionInDoubt` carries the messages in doubt.
    """
    drafts = [draft for _, draft in batch]
    try:
        if new and (len(drafts) > 1 or drafts[0].expected is None):
            admission = Admission(await journal.append_drafts(drafts), {})
        else:
            admission = await submit_unknown(journal, drafts)
    except BaseException as error:
        keep_in_doubt(doubts, batch, error)
        raise
    doubts.forget(batch)
    if new:
        task_index(journal).count_submissions(len(batch))
    return admission


def keep_in_doubt(doubts: Doubts, batch: Batch, error: BaseException) -> None:
    """Keep the numbered drafts; raise `SubmissionInDoubt`, with the messages, in place of an `AppendInDoubt`."""
    doubts.keep(batch)
    if isinstance(error, AppendInDoubt) and not isinstance(error, SubmissionInDoubt):
        tasks = batch[0][0].uuid if len(batch) == 1 else f"{len(batch):,} tasks"
        raise SubmissionInDoubt(
            f"whether {tasks} was submitted is unknown: {error}. Submit the same message again, "
            "broker.submit(error.message), which never makes a second task of it.",
            error.drafts,
            tuple(message for message, _ in batch),
        ) from error


class Tally:
    """Collects the results of the batches of one `submit_all`."""

    def __init__(self) -> None:
        self._accepted: list[str] = []
        self._refused: dict[str, MessageAlreadyExistsError] = {}

    def add(self, admission: Admission) -> None:
        """Add the result of one batch."""
        self._accepted += [submitted_id(event.key, bytes(event.context_json)) for event in admission.accepted]
        self._refused.update(admission.refused)

    def accepted(self) -> int:
        """Return how many were accepted; `MessageAlreadyExistsError` if others were refused."""
        if self._refused:
            raise several_refused(self._refused, self._accepted)
        return len(self._accepted)


def only_one(admission: Admission) -> Event:
    """Return the event of the single submission; raise its refusal if there is none."""
    if not admission.accepted:
        raise next(iter(admission.refused.values()))
    return admission.accepted[0]


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
