"""The form of appends and of records between a log over HTTP and its service. Pure; `docs/service-log.md` describes it.

Bodies are msgpack. Records travel as the bytes that stand in the log: neither side decodes them to pass them on.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from ..errors import JournalError
from ..event import Draft
from ..log import Page
from ..snapshots import SnapshotLabel
from .limits import FRAME_BYTES, FRAME_BYTES_MAX

MEDIA_TYPE: Final = "application/vnd.journeyman.log"
IDENTITY_HEADER: Final = "Journal-Identity"
VERSION: Final = 1
_LENGTH: Final = struct.Struct("!I")
_NEWLINE: Final = b"\n"


class WireDraft(Draft, array_like=True, gc=False):
    """A draft as an array of its fields, of which the last ones may be left out."""


class Description(msgspec.Struct):
    """What a client has to know of a log before it uses it.

    `partitioner` says how a key gets its partition: `one` (there is one), `crc32`, or `murmur2` as Kafka does.
    `one_clock`: times rise along the log, but for the places that `/log/falls` lists. `end_may_lag`: after a fail-over
    the end may for some seconds be behind events that were handed out.
    """

    version: int
    identity: str
    partitions: int
    partitioner: str
    one_clock: bool
    end_may_lag: bool


class NewDrafts(msgspec.Struct, array_like=True, tag=1, gc=False):
    """An append of new drafts without times, partitions or conditions, numbered one after the other from `first`."""

    first: int
    since: dict[int, int]
    drafts: list[WireDraft]


class AnyDrafts(msgspec.Struct, array_like=True, tag=2, gc=False):
    """An append of any drafts, each with its writer and number."""

    since: dict[int, int]
    drafts: list[WireDraft]


class AppendRequest(msgspec.Struct, array_like=True, gc=False):
    """Appends of one writer, in this order, each with an outcome of its own."""

    writer: str
    parts: list[NewDrafts | AnyDrafts]


class Landed(msgspec.Struct, array_like=True, tag=1, gc=False):
    """The outcome of an append that stands in the log: the place and the time of each event, in the order given.

    A partition, or an offset, that stands alone: all are in that partition, or the offsets count up from there.
    `identities` are the writers and numbers under which the events stand, where they are not those of the drafts.
    """

    partitions: int | list[int]
    offsets: int | list[int]
    times: list[float]
    identities: list[tuple[str, int]] | None = None


class Refused(msgspec.Struct, array_like=True, tag=2, gc=False):
    """The outcome of an append of which nothing has landed, or whose fate is unknown: a problem document."""

    problem: bytes


class Bounded(msgspec.Struct):
    """Cursors as text: the first available offsets, and the ends."""

    first: str
    end: str


class Position(msgspec.Struct):
    """A cursor as text."""

    cursor: str


class FallSeen(msgspec.Struct):
    """A place where times fall back; see `journal/timeline.py`."""

    offset: int
    before: float
    after: float
    carried: bool


class Label(msgspec.Struct):
    """A snapshot without its state; `digest` in hexadecimal digits."""

    id: str
    view: str
    schema: str
    cursor: str
    created: float
    anchor: str
    size: int
    digest: str


# -- frames of an answer with records ----------------------------------------------------------------------------------


class Lines(msgspec.Struct, array_like=True, tag=1, gc=False):
    """Consecutive records of a partition from offset `first` on, separated by line feeds."""

    partition: int
    first: int
    count: int
    lines: bytes


class Rows(msgspec.Struct, array_like=True, tag=2, gc=False):
    """Records of a partition at these offsets: with gaps between them, or such that hold a line feed."""

    partition: int
    offsets: list[int]
    rows: list[bytes]


class Here(msgspec.Struct, array_like=True, tag=3, gc=False):
    """All records before these offsets have been sent, and there were no more when this was."""

    offsets: dict[int, int]


class Failed(msgspec.Struct, array_like=True, tag=4, gc=False):
    """The answer ends with this problem document."""

    problem: bytes


Frame = Lines | Rows | Here | Failed

pack: Final = msgspec.msgpack.Encoder().encode
_frame_of: Final = msgspec.msgpack.Decoder(Frame).decode
request_of: Final = msgspec.msgpack.Decoder(AppendRequest).decode
outcomes_of: Final = msgspec.msgpack.Decoder(list[Landed | Refused]).decode


def framed(frame: Frame) -> bytes:
    """Return the bytes of a frame: its length in four bytes, big-endian, and its content."""
    content = pack(frame)
    return _LENGTH.pack(len(content)) + content


def frame_of_page(page: Page) -> Lines | Rows:
    """Return the frame of a page."""
    partition, offsets, rows = page
    lines = _NEWLINE.join(rows)
    if offsets[-1] - offsets[0] == len(rows) - 1 and lines.count(_NEWLINE) == len(rows) - 1:
        return Lines(partition, offsets[0], len(rows), lines)
    return Rows(partition, list(offsets), list(rows))


def framed_page(page: Page) -> bytes:
    """Return the frames of a page: one, or several if its records have more than `FRAME_BYTES` bytes."""
    partition, offsets, rows = page
    frames, first, size = [], 0, 0
    for index, row in enumerate(rows):
        size += len(row)
        if size > FRAME_BYTES and index > first:
            frames.append(framed(frame_of_page(Page(partition, offsets[first:index], rows[first:index]))))
            first, size = index, len(row)
    frames.append(framed(frame_of_page(Page(partition, offsets[first:], rows[first:]) if first else page)))
    return b"".join(frames)


def framed_text(partition: int, first: int, count: int, lines: bytes) -> bytes:
    """As `framed_page`, for consecutive records as one text, separated by line feeds."""
    if len(lines) <= 2 * FRAME_BYTES:
        return framed(Lines(partition, first, count, lines))
    return framed_page(Page(partition, range(first, first + count), lines.split(_NEWLINE)))


def page_of_frame(frame: Lines | Rows) -> Page:
    """Return the page of a frame; `BrokenFrame` if its parts contradict each other."""
    if isinstance(frame, Lines):
        rows: Sequence[bytes] = frame.lines.split(_NEWLINE)
        page = Page(frame.partition, range(frame.first, frame.first + frame.count), rows)
    else:
        page = Page(frame.partition, frame.offsets, frame.rows)
    if not page.rows or len(page.rows) != len(page.offsets):
        raise BrokenFrame(f"a frame names {len(page.offsets):,} offsets and holds {len(page.rows):,} records")
    return page


class BrokenFrame(JournalError):
    """An answer breaks the protocol: another program has sent it, or a proxy has changed it."""


class Unframing:
    """Cuts the bytes of an answer into frames, as they arrive."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that are complete with `data`; `BrokenFrame` for what is none."""
        rest = self._rest
        rest += data
        at, size = 0, len(rest)
        try:
            while size - at >= _LENGTH.size:
                (length,) = _LENGTH.unpack_from(rest, at)
                if length > FRAME_BYTES_MAX:
                    raise BrokenFrame(f"a frame of {length:,} bytes is announced; at most {FRAME_BYTES_MAX:,} are sent")
                end = at + _LENGTH.size + length
                if size < end:
                    break
                with memoryview(rest) as view:
                    content = bytes(view[at + _LENGTH.size : end])
                at = end
                try:
                    yield _frame_of(content)
                except msgspec.MsgspecError as error:
                    raise BrokenFrame(f"an answer of the journal service cannot be read: {error}") from None
        finally:
            del rest[:at]

    @property
    def is_complete(self) -> bool:
        """Whether no frame has begun that has not ended."""
        return not self._rest


def label_on_wire(label: SnapshotLabel) -> Label:
    """Return the form of a label in JSON."""
    id_, view, schema, cursor, created, anchor, size, digest = label
    return Label(id_, view, schema, str(cursor), created, anchor, size, digest.hex())


def cursor_text(cursor: Mapping[int, int]) -> str:
    """Return the offsets of a cursor as text, as they stand in a request."""
    return ",".join(f"{partition}:{offset}" for partition, offset in sorted(cursor.items()))
