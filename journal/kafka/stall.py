"""Detect and drop stalled connections: a response is pending and no byte of it arrives.

With a stopped broker or a silently lost connection, a request waits for its full timeout, which must be long because a
large fetch over a slow link takes long. But a fetch in progress delivers bytes. So this module limits the silence: a
connection on which nothing arrives is dropped, and the client asks another broker for the current leaders.

It reads aiokafka's private fields: the unanswered requests of a connection and its buffered bytes.
"""

import asyncio
import time
from collections.abc import Hashable
from typing import Any, NamedTuple

from aiokafka.conn import CloseReason

from .limits import KAFKA_REQUEST_SECONDS_MAX, KAFKA_STALL_SECONDS_MAX, STALL_LOOK_SECONDS


class _Due(NamedTuple):
    """The progress of the oldest unanswered request of a connection."""

    connection: int
    request: int
    bytes_buffered: int


class StallWatch:
    """A failure detector for the connections of one client, in its loop.

    Each drop doubles the broker's timeout until it answers, so that a broker that is merely slow, with a slow disk for
    example, is eventually waited for.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._due: dict[Hashable, _Due] = {}
        self._silent_seconds: dict[Hashable, float] = {}
        self._patience_seconds: dict[Hashable, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.dropped = 0

    def start(self) -> None:
        """Start the periodic checks; call in the loop."""
        self._timer = asyncio.get_running_loop().call_later(STALL_LOOK_SECONDS, self._look_again)

    def stop(self) -> None:
        """Stop the checks; stopping twice is harmless."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_again(self) -> None:
        self.start()
        self.look()

    def look(self) -> None:
        """Compare each connection with the previous check, `STALL_LOOK_SECONDS` ago."""
        for broker, connection in list(self._client._conns.items()):  # noqa: SLF001
            before, due = self._due.pop(broker, None), _due(connection)
            if due is not None:
                self._due[broker] = due
            if before is not None and before == due:
                self._silent_seconds[broker] = self._silent_seconds.get(broker, 0.0) + STALL_LOOK_SECONDS
                self._drop_if_stalled(broker, connection)
                continue
            self._silent_seconds.pop(broker, None)
            if before is not None and before.connection == id(connection) and connection.connected():
                # More of a response has arrived, or all of it.
                self._patience_seconds.pop(broker, None)

    def _drop_if_stalled(self, broker: Hashable, connection: Any) -> None:
        patience = self._patience_seconds.get(broker, KAFKA_STALL_SECONDS_MAX)
        if self._silent_seconds[broker] < patience:
            return
        self._patience_seconds[broker] = min(2 * patience, KAFKA_REQUEST_SECONDS_MAX)
        del self._silent_seconds[broker], self._due[broker]
        self.dropped += 1
        transport = connection._writer.transport  # noqa: SLF001
        connection.close(reason=CloseReason.CONNECTION_TIMEOUT)  # makes the client ask for the leaders
        transport.abort()  # unsent bytes would keep it open


def _due(connection: Any) -> _Due | None:
    requests = connection._requests  # noqa: SLF001
    if not requests or not connection.connected():
        return None
    return _Due(id(connection), requests[0][0], len(connection._reader._buffer))  # noqa: SLF001


def connect_soon(client: Any) -> None:
    """Give connecting a shorter timeout than a request: the messages that open a connection are small.

    A client connects to one broker at a time, and all others wait for that. After a timeout, the next attempt with the
    same broker gets twice the time. Call once the client knows its brokers.
    """
    connect = client._get_conn  # noqa: SLF001
    patience_seconds: dict[Hashable, float] = {}

    async def connected(broker: Hashable, **options: Any) -> Any:
        patience = patience_seconds.pop(broker, KAFKA_STALL_SECONDS_MAX)
        client._request_timeout_ms = int(patience * 1_000)  # noqa: SLF001
        begun = time.monotonic()
        connection = await connect(broker, **options)
        if connection is not None:
            connection._request_timeout = KAFKA_REQUEST_SECONDS_MAX  # noqa: SLF001
        elif time.monotonic() - begun >= patience:
            patience_seconds[broker] = min(2 * patience, KAFKA_REQUEST_SECONDS_MAX)
        return connection

    client._get_conn = connected  # noqa: SLF001
