"""Connections on which an answer is due and nothing comes: dropped in time, and never one that is merely slow."""

import asyncio
from collections import deque

import pytest
from aiokafka.conn import CloseReason
from journeyman.journal.kafka import stall
from journeyman.journal.kafka.limits import KAFKA_REQUEST_SECONDS_MAX, KAFKA_STALL_SECONDS_MAX, STALL_LOOK_SECONDS
from journeyman.journal.kafka.stall import StallWatch, connect_soon

LOOKS = int(KAFKA_STALL_SECONDS_MAX / STALL_LOOK_SECONDS)


class Wire:
    """A connection as the client keeps it: what is asked, and what has come of the answer."""

    def __init__(self, client: "Client", broker: int = 1) -> None:
        self._requests: deque[tuple[int, object, object]] = deque()
        self._reader = self
        self._writer = self
        self.transport = self
        self._buffer = b""
        self._asked = 0
        self._request_timeout = 0.0
        self.closed: CloseReason | None = None
        self.aborted = False
        client._conns[broker] = self

    def ask(self) -> None:
        self._asked += 1
        self._requests.append((self._asked, None, None))

    def answer(self) -> None:
        self._requests.popleft()
        self._buffer = b""

    def send(self, count: int) -> None:
        self._buffer += b"x" * count

    def connected(self) -> bool:
        return self.closed is None

    def close(self, reason: CloseReason) -> None:
        self.closed = reason

    def abort(self) -> None:
        self.aborted = True


class Client:
    """As much of aiokafka's client as is looked at."""

    def __init__(self) -> None:
        self._conns: dict[int, Wire] = {}
        self._request_timeout_ms = 0

    async def _get_conn(self, broker: int) -> Wire | None:
        return self._conns.get(broker)


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def watch(client: Client) -> StallWatch:
    return StallWatch(client)


def look(watch: StallWatch, times: int) -> None:
    for _ in range(times):
        watch.look()


def test_connection_without_any_answer_is_dropped(client: Client, watch: StallWatch) -> None:
    wire = Wire(client)
    wire.ask()
    look(watch, LOOKS)
    assert wire.closed is None
    look(watch, 1)
    assert wire.closed is CloseReason.CONNECTION_TIMEOUT, "so that the client asks for the leaders"
    assert wire.aborted
    assert watch.dropped == 1
    look(watch, 10 * LOOKS)
    assert watch.dropped == 1


def test_connection_with_nothing_due_is_left_alone(client: Client, watch: StallWatch) -> None:
    wire = Wire(client)
    look(watch, 10 * LOOKS)
    wire.ask()
    look(watch, LOOKS)
    wire.answer()
    look(watch, 10 * LOOKS)
    assert wire.closed is None


def test_answering_connection_is_left_alone(client: Client, watch: StallWatch) -> None:
    wire = Wire(client)
    for _ in range(10 * LOOKS):
        wire.ask()
        look(watch, 1)
        wire.answer()
    assert wire.closed is None


def test_long_answer_over_a_slow_link_is_waited_for(client: Client, watch: StallWatch) -> None:
    wire = Wire(client)
    wire.ask()
    for _ in range(10):
        look(watch, LOOKS - 1)
        wire.send(1)
    assert wire.closed is None
    look(watch, LOOKS + 1)
    assert wire.closed, "until nothing more of it comes"


def test_slow_broker_gets_more_time_until_it_answers(client: Client, watch: StallWatch) -> None:
    taken = []
    for _ in range(5):
        wire = Wire(client)
        wire.ask()
        looks = 0
        while wire.closed is None:
            look(watch, 1)
            looks += 1
        taken.append((looks - 1) * STALL_LOOK_SECONDS)
    most = KAFKA_REQUEST_SECONDS_MAX
    assert taken == [min(KAFKA_STALL_SECONDS_MAX * 2**number, most) for number in range(5)]
    answering = Wire(client)
    answering.ask()
    look(watch, 1)
    answering.answer()
    look(watch, 1)
    answering.ask()
    look(watch, LOOKS + 1)
    assert answering.closed, "having answered it is trusted, and watched, as at first"


def test_stall_time_is_counted_per_broker(client: Client, watch: StallWatch) -> None:
    silent, lively = Wire(client, 1), Wire(client, 2)
    silent.ask()
    for _ in range(LOOKS + 1):
        lively.ask()
        look(watch, 1)
        lively.answer()
    assert silent.closed
    assert lively.closed is None


def test_connection_closed_otherwise_counts_as_unanswered(client: Client, watch: StallWatch) -> None:
    Wire(client).ask()
    look(watch, LOOKS + 1)
    assert watch.dropped == 1
    for _ in range(2):
        again = Wire(client)
        again.ask()
        look(watch, LOOKS + 1)
        assert again.closed is None, "it has twice the time"
        again.close(CloseReason.CONNECTION_BROKEN)
        look(watch, 1)


def test_connect_timeout_is_shorter_than_request_timeout(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stall, "KAFKA_STALL_SECONDS_MAX", 0.01)
    monkeypatch.setattr(stall, "KAFKA_REQUEST_SECONDS_MAX", 0.06)
    given: list[int] = []

    async def slow(broker: int) -> Wire | None:
        given.append(client._request_timeout_ms)
        if broker == 2:
            await asyncio.sleep(client._request_timeout_ms / 1_000)  # and does not answer in that time
        return client._conns.get(broker)

    monkeypatch.setattr(client, "_get_conn", slow)
    wire = Wire(client)
    connect_soon(client)

    async def test() -> None:
        for broker in (2, 2, 2, 2, 2, 1, 3, 3):
            assert await client._get_conn(broker) is (wire if broker == 1 else None)

    asyncio.run(test())
    assert given == [10, 20, 40, 60, 60, 10, 10, 10], "one that refuses at once, the third, is not slow"
    assert wire._request_timeout == 0.06
