"""A proxy on loopback that does to answers and requests what proxies and networks do: holds, drops, delays them."""

import asyncio
import contextlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNK_BYTES: Final = 64 * 1024


class Proxy:
    """Passes each request on over a connection of its own, and each answer once it is complete.

    - `drops`: of so many of the next appends the answer is lost.
    - `delays`: so many of the next appends are held back, and passed on when `release` is called.
    """

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname or "", parts.port or 0)
        self.drops = 0
        self.delays = 0
        self.passed = 0
        self._late: list[bytes] = []
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy")

    @property
    def address(self) -> str:
        """Its own address, for clients."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(60)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)

    def release(self) -> int:
        """Pass the requests on that were held back; return how many."""
        late, self._late = self._late, []
        for request in late:
            asyncio.run_coroutine_threadsafe(self._answer(request), self._loop).result(20)
        return len(late)

    def _run(self) -> None:
        loop = self._loop
        self._server = loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self._ready.set()
        loop.run_forever()
        self._server.close()
        loop.run_until_complete(_end_all())
        loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError), contextlib.closing(writer):
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            body = await reader.readexactly(int(length[1])) if length else b""
            request = re.sub(rb"\r\n\r\n\Z", b"\r\nConnection: close\r\n\r\n", head) + body
            answering = asyncio.ensure_future(self._treat(head, request))
            gone = asyncio.ensure_future(reader.read(1))  # the client does not wait any more
            await asyncio.wait((answering, gone), return_when=asyncio.FIRST_COMPLETED)
            if answering.done() and not answering.exception():
                writer.write(answering.result())
                await writer.drain()
            for each in (answering, gone):
                each.cancel()
            await asyncio.gather(answering, gone, return_exceptions=True)

    async def _treat(self, head: bytes, request: bytes) -> bytes:
        is_append = head.startswith(b"POST /log/append")
        if is_append and self.delays > 0:
            self.delays -= 1
            self._late.append(request)
            return b""
        answer = await self._answer(request)
        if is_append and self.drops > 0:
            self.drops -= 1
            return b""
        self.passed += 1
        return answer

    async def _answer(self, request: bytes) -> bytes:
        """The complete answer; of an endless one nothing, ever."""
        reader, writer = await asyncio.open_connection(*self._upstream)
        try:
            writer.write(request)
            answer = bytearray()
            while chunk := await reader.read(_CHUNK_BYTES):
                answer += chunk
            return bytes(answer)
        finally:
            writer.close()


async def _end_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0)  # the transports close in the next pass


@contextmanager
def proxy_before(upstream: str) -> Iterator[Proxy]:
    """A proxy before the service at `upstream`."""
    proxy = Proxy(upstream)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.close()
