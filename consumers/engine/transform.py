"""Transform a page of the log into the events a consumer delivers: decode, filter, respond, create."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

from ...journal.errors import InvalidEvent
from ...journal.event import Event
from ...journal.event_decoding import readable
from ...journal.log import Page
from ..bad_records import BadRecords
from ..checkpoints.records import CONTROL_NAMES
from ..checkpoints.session import Replay
from ..event import JournalEventBase, entries_of, entry_of, wrapped
from ..options import ConsumerDefinition, event_class_of_plain, only_creates
from ..responses import EVENTS, JournalResponses, Response, ResponseSource


class Transformed(NamedTuple):
    """Events ready for delivery, and their offsets.

    A consumer that received `events[i]` has read up to and including `offsets[i]`. `error` is what happened after them.
    The journal's own are still `Event`s; `Transformer.finished` wraps them for delivery as late as possible: the
    garbage collector does not track an `Event`, and a merge holds thousands.
    """

    events: Sequence[Event | JournalEventBase]
    offsets: Sequence[int]
    error: Exception | None = None


class Transformer:
    """Transforms the pages of one stream by the definition of its consumer."""

    def __init__(self, definition: ConsumerDefinition, source: ResponseSource, bad_records: BadRecords) -> None:
        self._definition = definition
        self._source = source
        self._bad_records = bad_records
        # The journal's own responses have one entry for each event, so their filters can be applied before creation.
        self._own = type(source) is JournalResponses
        # A consumer that commits would otherwise receive each commit as an event, commit that, and so on without end.
        asked_for = definition.topic.split(".")[0] == "consumer"
        self._leave_out_control = definition.checkpoint is not None and not asked_for
        plain = event_class_of_plain(definition) if self._own else None
        self._plain = plain
        self._direct = plain is not None and definition.where is None
        self._only_creates = self._own and only_creates(definition)

    def shape(self, page: Page) -> Transformed:
        """Return the events to deliver for `page`."""
        events, error = self._decoded(page)
        wanted = self._wanted(events)
        session = self._definition.session
        if session is not None and page.partition == session.partition:
            replays = session.pass_page(events, page.next_offset)
            if session.moved is not None:
                return Transformed((), (), session.moved)
            if replays:
                return self._with_replays(wanted, replays, page, error)
        return self._transformed(wanted, page, error)

    def _transformed(self, wanted: list[Event], page: Page, error: Exception | None) -> Transformed:
        if self._direct:
            offsets = page.offsets if len(wanted) == len(page.offsets) else [event.offset for event in wanted]
            return Transformed(wanted, offsets, error)
        transformed = self._created(wanted, page)
        return transformed if transformed.error is not None else transformed._replace(error=error)

    def _decoded(self, page: Page) -> tuple[list[Event], Exception | None]:
        """Return the events of a page, up to a bad record if those are errors, and the error."""
        bad_records = self._bad_records
        events, bad = readable(page.rows, page.partition, page.offsets, contexts=not bad_records.raises)
        for each in bad:
            error: Exception = each
            if not bad_records.raises:
                try:
                    bad_records.note(each)
                    continue
                except Exception as raised:  # from the user's own code
                    error = raised
            return [event for event in events if event.offset < each.offset], error
        return events, None

    def _with_replays(
        self, wanted: list[Event], replays: Sequence[Replay], page: Page, error: Exception | None
    ) -> Transformed:
        """As `_transformed`, with each replayed event in place of the event that requests it."""
        events: list[Event | JournalEventBase] = []
        offsets: list[int] = []
        for replay in replays:
            before = [event for event in wanted if event.offset < replay.offset]
            wanted = wanted[len(before) :]
            for transformed in (self._transformed(before, page, None), self._transformed([replay.event], page, None)):
                events += transformed.events
                offsets += transformed.offsets
                if transformed.error is not None:
                    return Transformed(events, offsets, transformed.error)
            offsets[len(offsets) - len(transformed.offsets) :] = [replay.offset] * len(transformed.offsets)
        rest = self._transformed(wanted, page, error)
        return Transformed([*events, *rest.events], [*offsets, *rest.offsets], rest.error)

    def finished(self, events: Sequence[Event | JournalEventBase]) -> Sequence[JournalEventBase]:
        """Return the events to deliver for transformed events."""
        if self._direct:
            assert self._plain is not None
            return wrapped(cast("Sequence[Event]", events), self._plain)
        return cast("Sequence[JournalEventBase]", events)

    def _wanted(self, events: list[Event]) -> list[Event]:
        definition = self._definition
        if definition.topic:
            covered = definition.covered
            events = [event for event in events if covered[event.name]]
        if definition.key is not None:
            key = definition.key
            events = [event for event in events if event.key == key]
        if self._own and definition.since > 0:
            since = definition.since
            events = [event for event in events if event.timestamp > since]
        if self._own and isinstance(definition.until, float):
            until = definition.until
            events = [event for event in events if event.timestamp <= until]
        if self._leave_out_control:
            events = [event for event in events if event.name not in CONTROL_NAMES]
        return events

    def _created(self, wanted: list[Event], page: Page) -> Transformed:
        if self._plain is not None:
            return self._chosen(wanted, self._plain)
        created: list[JournalEventBase] = []
        offsets: list[int] = []
        if self._only_creates:
            error = self._create_all(wanted, created, offsets)
            return Transformed(created, offsets, error)
        # With entries that have no offset, the cursor stays before the page until the last entry.
        fallback = page.offsets[0] - 1
        try:
            for response in self._source.respond(wanted):
                for offset, event in self._of_response(response):
                    created.append(event)
                    offsets.append(fallback if offset is None else offset)
        except Exception as error:
            return Transformed(created, offsets, error)
        if fallback in offsets:
            offsets[-1] = page.offsets[-1]
        return Transformed(created, offsets)

    def _create_all(
        self, wanted: Sequence[Event], created: list[JournalEventBase], offsets: list[int]
    ) -> Exception | None:
        """Create the events of the journal's own response by `create_event` alone; return the error, if any.

        No other hook sees the response, so no list of entries is built: each is freed before the next one.
        """
        create, where = self._definition.create_event, self._definition.where
        try:
            for own, entry in zip(wanted, entries_of(wanted), strict=True):
                event = create(entry)
                if event is not None and (where is None or where(event)):
                    created.append(event)
                    offsets.append(own.offset)
        except Exception as error:
            return error
        return None

    def _chosen(self, wanted: list[Event], plain: type[JournalEventBase]) -> Transformed:
        """Return the events that `where` accepts; no hook is called."""
        where = self._definition.where
        assert where is not None
        created: list[JournalEventBase] = []
        offsets: list[int] = []
        for own, event in zip(wanted, wrapped(wanted, plain), strict=True):
            try:
                accepted = where(event)
            except Exception as error:
                return Transformed(created, offsets, error)
            if accepted:
                created.append(event)
                offsets.append(own.offset)
        return Transformed(created, offsets)

    def _of_response(self, response: Response) -> Iterable[tuple[int | None, JournalEventBase]]:
        """Yield the events created for a response, each with the offset its entry names."""
        definition = self._definition
        if definition.is_empty_response(response):
            return
        entries = _entries(response)
        offsets = [_offset(entry) for entry in entries]  # first: a hook may change the dictionaries
        if self._own:
            entries = list(entries_of(entries))
            response = {**response, EVENTS: entries}
        elif any(entry.__class__ is Event for entry in entries):
            entries = [entry_of(entry) if entry.__class__ is Event else entry for entry in entries]
            response = {**response, EVENTS: entries}
        kwargs = definition.process_response(response) or {}
        for offset, entry in zip(offsets, entries, strict=True):
            event = definition.create_event(entry, **kwargs)
            if event is None or not (self._own or self._is_in_time(event)):
                continue
            if definition.where is None or definition.where(event):
                yield offset, event

    def _is_in_time(self, event: JournalEventBase) -> bool:
        since, until = self._definition.since, self._definition.until
        if event.is_empty():
            return True
        return (since <= 0 or event.timestamp > since) and not (isinstance(until, float) and event.timestamp > until)


def _entries(response: Response) -> list[Any]:
    try:
        entries: list[Any] = list(response[EVENTS])
    except (KeyError, TypeError, IndexError) as error:
        raise InvalidEvent(
            f"a response is a mapping with a list of entries under {EVENTS!r}, got {response!r:.200}"
        ) from error
    return entries


def _offset(entry: Any) -> int | None:
    if entry.__class__ is Event:
        return int(entry.offset)
    return entry.get("offset") if isinstance(entry, Mapping) else None
