"""Define the options and hooks that synchronous and asynchronous consumers share."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypedDict, Unpack

from ..journal.cursor import Cursor
from .bad_records import BadRecordPolicy, checked_policy
from .checkpoint import Checkpoint, JournalCheckpoint, checked_checkpoint
from .checkpoints.session import CheckpointSession
from .event import JournalEventBase
from .moments import Moment, moment
from .responses import HISTORY_END, JournalResponses, Response, ResponseSource
from .topic import Topic


class ConsumerOptions(TypedDict, total=False):
    """The options of a consumer beyond the reference's parameters; all by keyword.

    - `cursor`: resume history exactly here: a `consumer.cursor` of an earlier consumer, or its text.
    - `checkpoint`: a name, or a `Checkpoint`: resume where the consumer of that name last called `commit()`; if there
      is none yet, the other options define the start. Events about checkpoints (`consumer.checkpointed`, `parked`,
      `replayed`, `dropped`) are then left out, unless the topic covers them explicitly.
    - `until`: end here, with None: a cursor or its text, or a time in any form that `since` takes. A time leaves out
      later events, and ends the stream when it comes; if it has passed, events appended up to `CLOCK_SKEW_SECONDS_MAX`
      after it are still examined, for writers whose clocks are behind.
    - `on_bad_record`: what to do with a record that is not an event, such as another program's or a damaged one.
      "raise": raise `UnreadableRecord` at its position; `skip_bad_record()` continues after it. "skip": leave it out
      and count it in the statistics. A callable: as "skip", and call it with each `UnreadableRecord`, which has
      `partition`, `offset`, `record` and `reason`. The last two decode each context before they deliver an event.
    - `attempts`: with ``on_error="park"``, how often a callback is tried with an event before the event is parked.
    - `key`: only events of this key. `where`: only events for which `where(event)` is true.
    """

    cursor: Mapping[int, int] | str | None
    checkpoint: str | Checkpoint | JournalCheckpoint | None
    until: Mapping[int, int] | Moment | None
    key: str | None
    where: Callable[[Any], object] | None
    on_bad_record: BadRecordPolicy
    attempts: int | None


class ConsumerDefinition(ABC):
    """The options of a consumer and the hooks a subclass may override; see `JournalConsumerBase` for their meaning."""

    # Set by `start()` if the journal stores the checkpoint.
    session: CheckpointSession | None = None
    SENTINEL_EVENT: ClassVar[JournalEventBase] = JournalEventBase({})

    def __init__(
        self,
        topic: str,
        cancel_topic: str | None = None,
        full: bool = True,
        since: Moment = 0.0,
        include_sentinel: bool = False,
        **options: Unpack[ConsumerOptions],
    ) -> None:
        if not isinstance(topic, str):
            raise TypeError(
                f"a topic is a dotted prefix of event names, such as 'task', or '' for all; got {topic!r:.80}"
            )
        unknown = options.keys() - ConsumerOptions.__annotations__
        if unknown:
            raise TypeError(f"a consumer has no option {', '.join(sorted(unknown))}")
        if options.get("cursor") is not None and not full:
            raise ValueError("a cursor says where history is resumed, full=False asks for none: give one of the two")
        self.topic = topic
        self.cancel_topic = cancel_topic if cancel_topic is not None else f"{topic}-cancel"
        self.full = full
        self.since = moment(since, "since")
        self.include_sentinel = include_sentinel
        self.start_cursor = _checked_cursor(options.get("cursor"))
        self.until = _checked_until(options.get("until"))
        self.key = options.get("key")
        self.where = options.get("where")
        self.on_bad_record = checked_policy(options.get("on_bad_record"))
        self.attempts = options.get("attempts")
        kept = options.get("checkpoint")
        self.checkpoint = None if kept is None else checked_checkpoint(kept)
        self.covered = Topic(topic)

    @abstractmethod
    def create_event(self, entry: Any, **kwargs: Any) -> JournalEventBase | None:
        """Return the event to deliver for one entry of a response's `events`.

        `entry` is a dictionary with `timestamp`, `name`, `context` and, if known, `key`, `writer`, `seq`, `version`,
        `partition` and `offset`; a response source may put entries of another kind into its responses.
        `kwargs` is what `process_response` returned for the response. None leaves the entry out.
        """

    @abstractmethod
    def process_response(self, resp: Response) -> Mapping[str, Any] | None:
        """Process a response, once; the mapping returned is passed to `create_event` as keyword arguments.

        `resp["events"]` is the list of the entries that `create_event` gets.
        """

    def is_empty_response(self, resp: Response) -> bool:
        """Whether `resp` marks the end of history. A response without events does not: a filter may leave none."""
        return bool(resp.get(HISTORY_END))

    @property
    def request_payload(self) -> Mapping[str, Any]:
        """The payload passed to the response source when a consumer starts."""
        return {}

    def response_source(self) -> ResponseSource:
        """Return a new response source, for each `start()`: the journal itself unless a subclass overrides this."""
        return JournalResponses()


def _checked_cursor(cursor: Mapping[int, int] | str | None) -> Cursor | None:
    if cursor is None:
        return None
    checked = Cursor.parse(cursor) if isinstance(cursor, str) else Cursor(cursor)
    if not checked:
        raise ValueError("an empty cursor names no partition; omit the cursor to follow all of them")
    return checked


def _checked_until(until: Mapping[int, int] | Moment | None) -> Cursor | float | None:
    if until is None or isinstance(until, Mapping):
        return _checked_cursor(until)
    if isinstance(until, str):
        try:
            return _checked_cursor(Cursor.parse(until))
        except ValueError:
            if not until.strip():
                raise
    return moment(until, "until")


class PlainEvents(ConsumerDefinition):
    """The hooks of a consumer that delivers the journal's events unchanged, as objects of `event_class`."""

    # A subclass of JournalEventBase without an `__init__` of its own: consumers make its objects without calling it.
    event_class: ClassVar[type[JournalEventBase]] = JournalEventBase

    def create_event(self, entry: Any, **kwargs: Any) -> JournalEventBase | None:
        """Return the entry as an object of `event_class`."""
        return self.event_class(entry)

    def process_response(self, resp: Response) -> Mapping[str, Any]:
        """Return nothing: the journal's own responses contain only events."""
        return {}


def only_creates(definition: ConsumerDefinition) -> bool:
    """Whether `create_event` is the only hook that can see the journal's own responses, or their entries."""
    kind = type(definition)
    return (
        issubclass(kind, PlainEvents)
        and kind.process_response is PlainEvents.process_response
        and kind.is_empty_response is ConsumerDefinition.is_empty_response
    )


def event_class_of_plain(definition: ConsumerDefinition) -> type[JournalEventBase] | None:
    """Return the event class if creating events without calling the hooks makes no difference, otherwise None."""
    if not isinstance(definition, PlainEvents):
        return None
    kind = type(definition)
    plain = (
        only_creates(definition)
        and kind.create_event is PlainEvents.create_event
        and kind.event_class.__init__ is JournalEventBase.__init__
    )
    return kind.event_class if plain else None
