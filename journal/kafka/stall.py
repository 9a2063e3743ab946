"""Connections that have stalled: an answer is due, and no byte of it comes.

A broker that is stopped, or a network that forgot a connection, lets a request wait for its whole time; and that has
to be long, for over a slow link a large fetch takes long. But one that is on its way sends bytes. So what is limited
here is the silence: a connection on which nothing comes is dropped, and the client asks another broker who leads now.

aiokafka's own fields are read for it: the requests of a connection that are not answered, and what it has buffered.
"""

import asyncio
import time
from collections.abc import Hashable
from typing import Any, Final, NamedTuple

from aiokafka.conn import CloseReason

from .limits import KAFKA_REQUEST_SECONDS_MAX, KAFKA_STALL_SECONDS_MAX

# How often is looked, in seconds: what a blocked loop has not read yet counts as one look's silence at most.
LOOK_SECONDS: Final = 0.25


class _Due(NamedTuple):
    """How far the oldest unanswered request of a connection has come."""

    connection: int
    request: int
    bytes_buffered: int


class StallWatch:
    """Looks after the connections of one client, in its loop.

    A broker whose connection was dropped gets twice the time until it answers: one that is only slow, at its disk for
    example, is heard in the end.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._due: dict[Hashable, _Due] = {}
        self._silent_seconds: dict[Hashable, float] = {}
        self._patience_seconds: dict[Hashable, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.dropped = 0

    def start(self) -> None:
        """Look now and then; call in the loop."""
        self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look_again)

    def stop(self) -> None:
        """Look no more; stopping twice is harmless."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_again(self) -> None:
        self.start()
        self.look()

    def look(self) -> None:
        """Compare with the last look, `LOOK_SECONDS` ago."""
        for broker, connection in list(self._client._conns.items()):  # noqa: SLF001
            before, due = self._due.pop(broker, None), _due(connection)
            if due is not None:
                self._due[broker] = due
            if before is not None and before == due:
                self._silent_seconds[broker] = self._silent_seconds.get(broker, 0.0) + LOOK_SECONDS
                self._lose_patience(broker, connection)
                continue
            self._silent_seconds.pop(broker, None)
            if before is not None and before.connection == id(connection) and connection.connected():
                # More of an answer has come, or all of it.
                self._patience_seconds.pop(broker, None)

    def _lose_patience(self, broker: Hashable, connection: Any) -> None:
        patience = self._patience_seconds.get(broker, KAFKA_STALL_SECONDS_MAX)
        if self._silent_seconds[broker] < patience:
            return
        self._patience_seconds[broker] = min(2 * patience, KAFKA_REQUEST_SECONDS_MAX)
        del self._silent_seconds[broker], self._due[broker]
        self.dropped += 1
        transport = connection._writer.transport  # noqa: SLF001
        connection.close(reason=CloseReason.CONNECTION_TIMEOUT)  # the client asks for the leaders then
        transport.abort()  # what was not sent yet would keep it open


def _due(connection: Any) -> _Due | None:
    requests = connection._requests  # noqa: SLF001
    if not requests or not connection.connected():
        return None
    return _Due(id(connection), requests[0][0], len(connection._reader._buffer))  # noqa: SLF001


def connect_soon(client: Any) -> None:
    """Let a client give up connecting sooner than a request: what a connection begins with is small.

    It connects to one broker at a time, and all others wait for that. A broker with which that took too long has twice
    the time when it is tried next. To be called once the client knows its brokers.
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
