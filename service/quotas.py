"""Limits what one key uses: requests and bytes per second, and requests in progress, streams among them."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import anyio
from litestar.types import Message, Receive, Send

from .keys import Allowance, Caller
from .limits import BURST_SECONDS
from .problems import Problem


class TokenBucket:
    """Allows `rate` units a second on the average, and `BURST_SECONDS` of that at once. Pure: `now` is given."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._left = rate * BURST_SECONDS
        self._at = -math.inf

    def take(self, units: float, now: float) -> float:
        """Take so many units, and return how many seconds to wait until the rate has allowed them; 0 for none."""
        filled = self._left + (now - self._at) * self._rate if self._at > -math.inf else self._left
        self._left = min(filled, self._rate * BURST_SECONDS) - units
        self._at = now
        return max(0.0, -self._left / self._rate)

    def give_back(self, units: float) -> None:
        """Return units to the bucket that were not used."""
        self._left += units


class Usage:
    """What the owner of one key uses now."""

    def __init__(self, allowed: Allowance) -> None:
        self._allowed = allowed
        self._requests = TokenBucket(allowed.requests)
        self._bytes = TokenBucket(allowed.bytes)
        self._in_progress = 0

    @contextmanager
    def request(self) -> Iterator[None]:
        """Count a request from its start to its end; `Problem` 429 if there are too many."""
        if self._in_progress >= self._allowed.streams:
            raise _too_many(f"{self._allowed.streams:,} requests of this key are in progress, streams among them", 1.0)
        now = time.monotonic()
        wait = max(self._requests.take(1, now), self._bytes.take(0, now))
        if wait > 0:
            self._requests.give_back(1)
            what = f"{self._allowed.requests:,.0f} requests and {self._allowed.bytes:,.0f} bytes a second are allowed"
            raise _too_many(f"{what} for this key", wait)
        self._in_progress += 1
        try:
            yield
        finally:
            self._in_progress -= 1

    def counting_receive(self, receive: Receive) -> Receive:
        """Return `receive` with the bytes of the body counted."""

        async def counted() -> Message:
            message = await receive()
            await self._pay(len(cast("bytes", message.get("body", b""))))
            return cast("Message", message)

        return cast("Receive", counted)

    def counting_send(self, send: Send) -> Send:
        """Return `send` with the bytes of the answer counted; it slows down an answer that is too fast."""

        async def counted(message: Message) -> None:
            await self._pay(len(cast("bytes", message.get("body", b""))))
            await send(message)

        return cast("Send", counted)

    async def _pay(self, size: int) -> None:
        if size and (wait := self._bytes.take(size, time.monotonic())) > 0:
            await anyio.sleep(wait)


class Quotas:
    """The usage of all keys, by the names of their owners."""

    def __init__(self) -> None:
        self._usages: dict[Caller, Usage] = {}

    def of(self, caller: Caller) -> Usage | None:
        """Return the usage of a caller; None for one without limits."""
        if caller.allowed is None:
            return None
        usage = self._usages.get(caller)
        if usage is None:
            usage = self._usages[caller] = Usage(caller.allowed)
        return usage


def _too_many(sentence: str, wait: float) -> Problem:
    return Problem(429, "too-many-requests", f"{sentence}; come again later", retry_after=math.ceil(wait))
