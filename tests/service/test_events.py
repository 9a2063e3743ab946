"""GET /events as streams: what is delivered, in which order, from where, and what is told besides."""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

import httpx2
import pytest
from journeyman.consumers import JournalConsumer
from journeyman.journal import Cursor, Draft, Event, Journal
from journeyman.journal.memory.log import MemoryLog
from journeyman.service.events import channel, feed, page, selection
from journeyman.service.settings import Settings
from support.service import client, service_here
from support.streams import LINES, SSE, following, numbers, up_to

PARTITIONS = 4


@pytest.fixture(scope="module")
def url() -> str:
    return f"memory://served-events?partitions={PARTITIONS}"


@pytest.fixture(scope="module")
def journal(url: str) -> Iterator[Journal]:
    """The journal behind the service, with some history in each partition."""
    with Journal(url) as made:
        for n in range(40):
            made.append("order.paid" if n % 2 else "order.sent", {"n": n}, key=f"k{n % 7}")
        yield made


@pytest.fixture(scope="module")
def address(url: str, journal: Journal) -> Iterator[str]:
    with service_here(url, Settings(port=0)) as at:
        yield at


def moment(journal: Journal, n: int) -> float:
    """The time of the event `n`."""
    with JournalConsumer(journal, "order") as consumer:
        return next(event.timestamp for event in consumer if event.context["n"] == n)


@pytest.mark.parametrize(
    "options",
    [
        {"topic": "order.paid"},
        {"key": "k3"},
        {"topic": "order.sent", "key": "k2"},
        {"since": 11},
        {"until": 25},
        {"since": 5, "until": 30, "topic": "order.paid"},
        {"topic": "other"},
    ],
)
def test_stream_has_what_a_consumer_delivers(http: httpx2.Client, journal: Journal, options: dict[str, Any]) -> None:
    times = {name: moment(journal, n) for name, n in options.items() if name in ("since", "until")}
    options = {"until": moment(journal, 39), **options, **times}
    with JournalConsumer(journal, include_sentinel=True, **{"topic": "", **options}) as consumer:
        expected = [(event.get("name"), event.get("offset"), event.get("partition")) for event in consumer]
    with following(http, include_sentinel=True, **options) as stream:
        got = [frame for frame in up_to(stream, "end") if frame.kind != "end"]
    assert [
        (None, None, None) if frame.kind == "sentinel" else tuple(map(frame.data.get, ("name", "offset", "partition")))
        for frame in got
    ] == expected


def test_sentinel_stands_between_history_and_live_events(http: httpx2.Client, journal: Journal) -> None:
    with following(http, include_sentinel=True, topic="order") as stream:
        history = up_to(stream, "sentinel")
        journal.append("order.paid", {"n": 1_000})
        assert numbers(history) == sorted(numbers(history))
        assert next(stream).data["context"] == {"n": 1_000}


def test_stream_goes_on_behind_any_of_its_ids(http: httpx2.Client, journal: Journal) -> None:
    until = moment(journal, 39)
    with following(http, until=until) as stream:
        whole = up_to(stream, "end")
    for place in range(0, len(whole) - 1, 7):
        with following(http, {"Last-Event-ID": whole[place].last_id}, until=until) as stream:
            assert numbers(up_to(stream, "end")) == numbers(whole[place + 1 :])


def test_reader_that_has_read_all_is_sent_away_for_good(http: httpx2.Client, journal: Journal) -> None:
    until = moment(journal, 39)
    with following(http, until=until) as stream:
        end = up_to(stream, "end")[-1]
    answer = http.get("/events", params={"until": until}, headers={**SSE, "Last-Event-ID": end.last_id})
    assert (answer.status_code, answer.content) == (204, b"")


def test_stream_without_history_begins_at_its_first_id(http: httpx2.Client, journal: Journal) -> None:
    with http.stream("GET", "/events", params={"full": False, "include_sentinel": True}, headers=SSE) as response:
        begin = response.headers["Journal-Cursor"]
    journal.append("order.paid", {"n": 2_000})
    with following(http, {"Last-Event-ID": begin}, full=False, include_sentinel=True) as stream:
        assert next(stream).data["context"] == {"n": 2_000}


def test_readers_share_what_comes_live(
    http: httpx2.Client, address: str, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[str] = []

    def noted(event: Event) -> bytes:
        encoded.append(event.name)
        return page.text_of(event)

    with following(http, full=False, topic="shared") as first, client(address) as other:
        journal.append("shared.first", {"n": 1})
        assert next(first).data["name"] == "shared.first"
        with following(other, full=False, topic="shared") as second:
            monkeypatch.setattr(selection, "text_of", noted)
            journal.append_all([("shared.second", {"n": n}, str(n)) for n in range(20)])
            one, two = list(islice(first, 20)), list(islice(second, 20))
    assert one == two
    assert encoded.count("shared.second") == 20


def test_lines_are_the_events_with_their_cursors(http: httpx2.Client, journal: Journal) -> None:
    until = moment(journal, 39)
    with following(http, until=until, include_sentinel=True) as stream:
        frames = up_to(stream, "end")
    answer = http.get("/events", params={"until": until, "include_sentinel": True}, headers=LINES)
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    first, *lines = map(json.loads, answer.text.splitlines())
    assert first == {"cursor": answer.headers["Journal-Cursor"], "opened": {}}
    for line, frame in zip(lines, frames, strict=True):
        told = frame.data if frame.kind == "message" else {frame.kind: {}}
        assert line == {"cursor": frame.last_id, **told}


def test_stream_without_events_says_that_it_lives(
    http: httpx2.Client, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "HEARTBEAT_SECONDS", 0.1)
    monkeypatch.setattr(channel, "HEARTBEAT_SECONDS", 0.1)
    options: list[dict[str, Any]] = [{}, {"until": 4_000_000_000}]  # live with the others, by a reading of its own
    for option in options:
        with following(http, topic="quiet", **option) as stream:
            skipped = journal.append("loud", {})
            frame = next(frame for frame in stream if f"{skipped.partition}:{skipped.offset + 1}:" in frame.last_id)
            assert (frame.comments, frame.data) == (["heartbeat"], None)


def test_record_that_is_no_event_is_told(http: httpx2.Client, journal: Journal) -> None:
    log = journal.asynchronous.log
    assert isinstance(log, MemoryLog)
    with following(http, full=False, topic="spoiled") as stream:
        lost = journal.append("spoiled", {"n": 1}, key="k0")
        assert next(stream).data["name"] == "spoiled"
        records = log._store.partitions[lost.partition].records
        whole, records[lost.offset] = records[lost.offset], records[lost.offset]._replace(row=b"not an event")
        with following(http, cursor=f"{lost.partition}:{lost.offset}", include_sentinel=True) as again:
            told = up_to(again, "sentinel")[0]
        records[lost.offset] = whole  # for the other tests
    assert told.kind == "skipped"
    assert told.data["records"] == 1
    assert told.data["first"]["offset"] == lost.offset


def test_line_breaks_of_other_programs_stay_within_one_line(http: httpx2.Client, journal: Journal) -> None:
    with following(http, full=False, topic="pretty") as stream:
        journal.append_drafts([Draft("pretty", b'{\n  "text": "a\\nb",\r\n  "n": 1\n}')])
        assert next(stream).data["context"] == {"text": "a\nb", "n": 1}


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ({"topic": "order.*"}, 400, "There are no wildcards"),
        ({"since": "never"}, 400, "since takes a time"),
        ({"until": "x"}, 400, "until takes a time"),
        ({"cursor": "x"}, 400, "cursor: expected a cursor"),
        ({"cursor": "9:0"}, 400, "is not one of this journal"),
        ({"cursor": "0:0", "full": False}, 400, "give one of the two"),
        ({"cursor": "0:10000"}, 409, "does not belong to this journal"),
        ({"full": "perhaps"}, 400, "violations"),
    ],
)
@pytest.mark.parametrize("accept", ["text/event-stream", "application/x-ndjson", "application/json"])
def test_bad_request_is_a_problem(
    http: httpx2.Client, accept: str, query: dict[str, Any], status: int, said: str
) -> None:
    answer = http.get("/events", params=query, headers={"Accept": accept})
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert said in answer.json()["detail"]


def test_unknown_form_is_not_acceptable(http: httpx2.Client) -> None:
    answer = http.get("/events", headers={"Accept": "text/csv"})
    assert answer.status_code == 406
    assert "text/event-stream" in answer.json()["detail"]


def test_cursors_of_a_page_are_those_of_a_consumer() -> None:
    with Journal("memory://") as journal:
        journal.append_all([("a" if n % 3 else "b", {}, str(n)) for n in range(200)])
        reading = selection.Reading(journal.asynchronous, selection.EventSelection("a", until=Cursor({0: 200})))
        journal.run(reading.open())
        compared = 0
        with JournalConsumer(journal, "a") as consumer:
            while isinstance(found := journal.run(reading.next_page(1.0)), page.Page):
                for cursor in found.cursors:
                    consumer.poll(1.0)
                    if cursor != found.cursors[-1]:  # that one has read what the filter left out behind the event, too
                        assert cursor == str(consumer.cursor)
                        compared += 1
        assert compared > 100
        journal.run(reading.aclose())


def test_page_of_a_reader_ahead_keeps_its_position() -> None:
    reading = Journal("memory://?partitions=2")
    with reading as journal:
        for n in range(3):
            journal.append_drafts([Draft("a", b'{"n":%d}' % n, partition=0), Draft("a", b"{}", partition=1)])
        events = journal.read().events
        cursors = ["0:1", "0:2", "0:3", "0:3,1:1", "0:3,1:2", "0:3,1:3"]
        whole = page.Page(events, [b""] * 6, cursors, Cursor({0: 3, 1: 3}))
        left = whole.behind(Cursor({0: 2, 1: 2}))
        assert [(event.partition, event.offset) for event in left.events] == [(0, 2), (1, 2)]
        assert [Cursor.parse(each).offsets for each in left.cursors] == ["0:3,1:2", "0:3,1:3"]
