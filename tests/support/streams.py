"""Streams of events as a client reads them: frames of Server-Sent Events, by the rules of the standard."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import httpx2

SSE = {"Accept": "text/event-stream"}
LINES = {"Accept": "application/x-ndjson"}


class Frame(NamedTuple):
    """What one block of a stream says: its type, the last id so far, its data, its comments and the time to retry."""

    kind: str
    last_id: str
    data: Any
    comments: list[str]
    retry: int | None


def frames(response: httpx2.Response) -> Iterator[Frame]:
    """Yield the blocks of a stream of Server-Sent Events."""
    kind, last_id, data = "message", "", ""
    comments: list[str] = []
    retry: int | None = None
    for line in response.iter_lines():
        if not line:
            yield Frame(kind, last_id, json.loads(data) if data else None, comments, retry)
            kind, data, comments, retry = "message", "", [], None
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not field:
            comments.append(value)
        elif field == "event":
            kind = value
        elif field == "id":
            last_id = value
        elif field == "data":
            data += value
        elif field == "retry":
            retry = int(value)


@contextmanager
def following(http: httpx2.Client, headers: dict[str, str] | None = None, **query: Any) -> Iterator[Iterator[Frame]]:
    """Follow events as Server-Sent Events; yields the frames behind the first one, which has only an id."""
    with http.stream("GET", "/events", params=query, headers={**SSE, **(headers or {})}) as response:
        assert response.status_code == 200, response.read()
        stream = frames(response)
        first = next(stream)
        assert (first.data, first.last_id) == (None, response.headers["Journal-Cursor"])
        yield stream


def up_to(stream: Iterator[Frame], kind: str) -> list[Frame]:
    """Return the frames up to and with the first one of that type."""
    taken: list[Frame] = []
    for frame in stream:
        taken.append(frame)
        if frame.kind == kind:
            return taken
    raise AssertionError(f"the stream has ended without {kind!r}: {taken[-3:]}")


def numbers(taken: list[Frame]) -> list[int]:
    """Return the `n` of the contexts of events."""
    return [frame.data["context"]["n"] for frame in taken if frame.kind == "message" and frame.data is not None]
