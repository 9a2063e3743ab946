"""A page of events as readers get it: each event encoded once, with the cursor behind it, in any form."""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol, Self

import msgspec

from ...consumers.event import JournalEventBase
from ...journal.cursor import Cursor
from ...journal.event import Event
from ..limits import PIECE_BYTES


class ServedEvent(msgspec.Struct, gc=False):
    """An event of the journal: its time in seconds since the epoch, its name, its context, and where it stands."""

    timestamp: float
    name: str
    context: msgspec.Raw
    key: str | None
    writer: str
    seq: int
    version: int
    partition: int
    offset: int


class StoredEvent(JournalEventBase):
    """A consumer's event that gives out its encoded context."""

    __slots__ = ()

    @property
    def stored(self) -> Event:
        """The event as it stands in the log."""
        return self._event


class Skipped(msgspec.Struct, frozen=True):
    """A record that was left out, since it is not an event: its position, and why."""

    partition: int
    offset: int
    reason: str


class Form(Protocol):
    """How a page becomes bytes."""

    def event(self, cursor: str, text: bytes) -> bytes:
        """Return the frame of an event, with the cursor behind it."""
        ...

    def skipped(self, records: Sequence[Skipped], cursor: str) -> bytes:
        """Return the frame that tells of records that are not events."""
        ...


_encoder: Final = msgspec.json.Encoder()
_ONE_LINE: Final = bytes.maketrans(b"\r\n", b"  ")


def served(event: Event) -> ServedEvent:
    """Return an event as answers contain it."""
    return ServedEvent(
        event.timestamp,
        event.name,
        event.context_json,
        event.key,
        event.writer,
        event.seq,
        event.version,
        event.partition,
        event.offset,
    )


def text_of(event: Event) -> bytes:
    """Return an event as one line of JSON: another program may have written its context on several."""
    text = _encoder.encode(served(event))
    return text.translate(_ONE_LINE) if b"\n" in text or b"\r" in text else text


class Page:
    """Events in the order of delivery; `cursors[i]` resumes after `events[i]`, and `cursor` after all that was read.

    `end` holds the offsets of `cursor`. The frames of each form are made once, for all readers of the page.
    """

    __slots__ = ("_frames", "cursor", "cursors", "end", "events", "oldest", "size", "skipped", "texts")

    def __init__(
        self,
        events: Sequence[Event],
        texts: Sequence[bytes],
        cursors: Sequence[str],
        cursor: Cursor,
        skipped: Sequence[Skipped] = (),
    ) -> None:
        self.events = events
        self.texts = texts
        self.cursors = cursors
        self.cursor = str(cursor)
        self.end: Mapping[int, int] = cursor
        self.skipped = skipped
        self.oldest = min((event.timestamp for event in events), default=float("inf"))
        self.size = sum(map(len, texts))
        self._frames: dict[int, list[bytes]] = {}

    def __bool__(self) -> bool:
        """Whether the page has events or skipped records."""
        return bool(self.events or self.skipped)

    def frames(self, form: Form) -> list[bytes]:
        """Return the bytes of the page in pieces of about `PIECE_BYTES`."""
        made = self._frames.get(id(form))  # forms are constants
        if made is None:
            made = self._frames[id(form)] = list(_pieces(self._each(form)))
        return made

    def _each(self, form: Form) -> Sequence[bytes]:
        frames = list(map(form.event, self.cursors, self.texts))
        if self.skipped:
            frames.append(form.skipped(self.skipped, self.cursor))
        return frames

    def later_than(self, since: float) -> Self:
        """Return the page without the events up to that time."""
        return self._chosen([index for index, event in enumerate(self.events) if event.timestamp > since])

    def behind(self, cursor: Cursor) -> Self:
        """Return the part of the page that a reader at `cursor` has not got; none of its cursors is before that."""
        places = [index for index, event in enumerate(self.events) if event.offset >= cursor.get(event.partition, 0)]
        chosen = self._chosen(places)
        skipped = [each for each in self.skipped if each.offset >= cursor.get(each.partition, 0)]
        cursors = [str(further(Cursor.parse(each), cursor)) for each in chosen.cursors]
        return type(self)(chosen.events, chosen.texts, cursors, further(Cursor.parse(self.cursor), cursor), skipped)

    def _chosen(self, places: Sequence[int]) -> Self:
        events, texts, cursors = self.events, self.texts, self.cursors
        return type(self)(
            [events[index] for index in places],
            [texts[index] for index in places],
            [cursors[index] for index in places],
            Cursor.parse(self.cursor),
            self.skipped,
        )


def further(one: Cursor, other: Cursor) -> Cursor:
    """Return the cursor with the greater of both offsets in each partition."""
    behind = dict(one.behind)
    offsets = dict(one)
    for partition, offset in other.items():
        if offset > offsets.get(partition, 0):
            offsets[partition] = offset
            behind.pop(partition, None)
            if partition in other.behind:
                behind[partition] = other.behind[partition]
    return Cursor(offsets, behind)


def _pieces(frames: Sequence[bytes]) -> Sequence[bytes]:
    pieces: list[bytes] = []
    some: list[bytes] = []
    size = 0
    for frame in frames:
        if some and size + len(frame) > PIECE_BYTES:
            pieces.append(b"".join(some))
            some, size = [], 0
        some.append(frame)
        size += len(frame)
    if some:
        pieces.append(b"".join(some))
    return pieces
