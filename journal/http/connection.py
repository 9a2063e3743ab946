"""Sends requests to a journal service over connections that stay open, and repeats those that may be repeated."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from ..errors import AppendInDoubt, JournalGone, JournalUnavailable
from .address import Address
from .limits import (
    BACKOFF_SECONDS,
    BACKOFF_SECONDS_MAX,
    LOOKUP_SECONDS_MAX,
    REQUEST_SECONDS_MAX,
    SILENCE_SECONDS_MAX,
)
from .problems import KeyRefused, error_from
from .requests import Requests
from .wire import IDENTITY_HEADER, MEDIA_TYPE

_OK: Final = 200


class Connection:
    """The connections of one log to its service; belongs to the event loop in which it is used first."""

    def __init__(self, address: Address) -> None:
        self._address = address
        context = address.ssl_context()
        self._requests = Requests(address.base, context)
        self._headers = {"Accept": "*/*", "User-Agent": "journeyman"}
        if address.key is not None:
            self._headers["Authorization"] = f"Bearer {address.key}"

    @property
    def place(self) -> str:
        """Host and port, for messages."""
        return self._address.place

    def expect(self, identity: str) -> None:
        """Name this identity in each further request, so that a service with another journal refuses it."""
        if identity:
            self._headers[IDENTITY_HEADER] = identity

    async def once(self, method: str, path: str, content: bytes | None = None, media: str = MEDIA_TYPE) -> bytes:
        """Send a request once and return the body of its answer; `path` begins with a slash.

        Raises `JournalUnavailable` if the service cannot be reached or does not answer in time, and the error that its
        problem document tells of.
        """
        headers = self._headers if content is None else {**self._headers, "Content-Type": media}
        try:
            response = await self._requests.send(method, path, headers, content, REQUEST_SECONDS_MAX)
        except OSError as error:  # a timeout as well
            raise self._unreachable(error) from error
        if response.status != _OK:
            raise error_from(response.content, response.status, self.place)
        return response.content

    async def asked(
        self,
        method: str,
        path: str,
        content: bytes | None = None,
        media: str = MEDIA_TYPE,
        patience: float = LOOKUP_SECONDS_MAX,
    ) -> bytes:
        """As `once`, for a request that may be repeated: retry it for `patience` seconds."""
        deadline, attempt = time.monotonic() + patience, 0
        while True:
            try:
                return await self.once(method, path, content, media)
            except (JournalUnavailable, AppendInDoubt) as error:
                if not may_pass(error) or time.monotonic() >= deadline:
                    raise
            await asyncio.sleep(backoff(attempt))
            attempt += 1

    @asynccontextmanager
    async def streaming(self, path: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open a long answer, and provide its bytes as they arrive; errors as in `once`."""
        try:
            async with self._requests.stream(path, self._headers, SILENCE_SECONDS_MAX) as (status, parts):
                if status != _OK:
                    raise error_from(b"".join([part async for part in parts]), status, self.place)
                yield parts
        except OSError as error:  # a timeout as well
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> JournalUnavailable:
        reason = str(error) or type(error).__name__
        return JournalUnavailable(
            f"the journal service at {self.place} does not answer ({reason}). Start it with "
            "`journeyman serve`, correct the address, or try again later"
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._requests.aclose()


def may_pass(error: Exception) -> bool:
    """Whether the error is transient: the same request may succeed later."""
    return isinstance(error, JournalUnavailable | AppendInDoubt) and not isinstance(error, JournalGone | KeyRefused)


def backoff(attempt: int) -> float:
    """How long to wait before the next attempt, in seconds: exponential, with jitter."""
    longest: float = min(BACKOFF_SECONDS * 2 ** min(attempt, 16), BACKOFF_SECONDS_MAX)
    return longest * random.uniform(0.5, 1.0)
