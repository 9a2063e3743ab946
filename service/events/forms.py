"""The two forms of a stream: Server-Sent Events, and JSON Lines."""

import random
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from ..limits import RETRY_MS_MAX, RETRY_MS_MIN
from .page import Form, Skipped

_encode: Final = msgspec.json.Encoder(enc_hook=str).encode


class StreamForm(Form, Protocol):
    """A form of a whole stream: events, and what a stream says besides."""

    media_type: str

    def opening(self, cursor: str) -> bytes:
        """Return the first frame: the position at which the stream begins."""
        ...

    def heartbeat(self, cursor: str) -> bytes:
        """Return the frame of a heartbeat: the stream is alive, and has read up to `cursor`."""
        ...

    def notice(self, kind: str, content: Mapping[str, Any], cursor: str | None = None) -> bytes:
        """Return the frame of a notice, such as the sentinel."""
        ...

    def again(self, content: Mapping[str, Any], cursor: str | None) -> bytes:
        """Return the last frame of a stream, which tells its reader to reconnect."""
        ...

    def problem(self, document: bytes) -> bytes:
        """Return the frame of a problem document, which ends the stream."""
        ...


def retry_ms() -> int:
    """Return how long a reader waits before it reconnects; random, so that not all reconnect at once."""
    return random.randint(RETRY_MS_MIN, RETRY_MS_MAX)


class ServerSentEvents:
    """`text/event-stream`: `id` is the cursor, notices are events of a type of their own."""

    media_type = "text/event-stream"

    def event(self, cursor: str, text: bytes) -> bytes:
        """See `Form`."""
        return b"id: %b\ndata: %b\n\n" % (cursor.encode(), text)

    def skipped(self, records: Sequence[Skipped], cursor: str) -> bytes:
        """See `Form`."""
        return self.notice("skipped", _skipped(records), cursor)

    def opening(self, cursor: str) -> bytes:
        """See `StreamForm`; an id without data sets the reader's last id and is no event."""
        return b"retry: %d\nid: %b\n\n" % (retry_ms(), cursor.encode())

    def heartbeat(self, cursor: str) -> bytes:
        """See `StreamForm`."""
        return b": heartbeat\nid: %b\n\n" % cursor.encode()

    def notice(self, kind: str, content: Mapping[str, Any], cursor: str | None = None) -> bytes:
        """See `StreamForm`."""
        head = b"" if cursor is None else b"id: %b\n" % cursor.encode()
        return b"%bevent: %b\ndata: %b\n\n" % (head, kind.encode(), _encode(content))

    def again(self, content: Mapping[str, Any], cursor: str | None) -> bytes:
        """See `StreamForm`."""
        return b"retry: %d\n%b" % (retry_ms(), self.notice("again", content, cursor))

    def problem(self, document: bytes) -> bytes:
        """See `StreamForm`."""
        return b"event: problem\ndata: %b\n\n" % document


class JsonLines:
    """`application/x-ndjson`: an object a line. An event has its `cursor`; a notice has no `name`."""

    media_type = "application/x-ndjson"

    def event(self, cursor: str, text: bytes) -> bytes:
        """See `Form`."""
        return b'{"cursor":"%b",%b\n' % (cursor.encode(), text[1:])

    def skipped(self, records: Sequence[Skipped], cursor: str) -> bytes:
        """See `Form`."""
        return self.notice("skipped", _skipped(records), cursor)

    def opening(self, cursor: str) -> bytes:
        """See `StreamForm`."""
        return self.notice("opened", {}, cursor)

    def heartbeat(self, cursor: str) -> bytes:
        """See `StreamForm`."""
        return self.notice("heartbeat", {}, cursor)

    def notice(self, kind: str, content: Mapping[str, Any], cursor: str | None = None) -> bytes:
        """See `StreamForm`."""
        head: dict[str, Any] = {} if cursor is None else {"cursor": cursor}
        return _encode({**head, kind: content}) + b"\n"

    def again(self, content: Mapping[str, Any], cursor: str | None) -> bytes:
        """See `StreamForm`."""
        return self.notice("again", {**content, "retry": retry_ms()}, cursor)

    def problem(self, document: bytes) -> bytes:
        """See `StreamForm`."""
        return b'{"problem":%b}\n' % document


def _skipped(records: Sequence[Skipped]) -> Mapping[str, Any]:
    return {"records": len(records), "first": msgspec.to_builtins(records[0])}


SERVER_SENT_EVENTS: Final[StreamForm] = ServerSentEvents()
JSON_LINES: Final[StreamForm] = JsonLines()
