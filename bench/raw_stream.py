"""A bare Litestar route that streams what is posted to all its readers: the floor of the service's live events."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from litestar import Litestar, Request, get, post
from litestar.response import Stream


class Broadcast:
    """The latest bytes, and who waits for the next ones."""

    def __init__(self) -> None:
        self.latest = b""
        self.news = asyncio.Event()

    def publish(self, frame: bytes) -> None:
        """Give a frame to all readers."""
        self.latest = frame
        news, self.news = self.news, asyncio.Event()
        news.set()

    async def frames(self) -> AsyncIterator[bytes]:
        """Yield a first frame, then each as it is published."""
        yield b": ready\n\n"
        while True:
            await self.news.wait()
            yield self.latest


def application(size: int) -> Litestar:
    """Return an application whose `GET /events` streams frames of `size` bytes, one for each `POST /events`."""
    broadcast = Broadcast()

    @get("/events", include_in_schema=False)
    async def follow() -> Stream:
        return Stream(broadcast.frames(), media_type="text/event-stream")

    @post("/events", include_in_schema=False)
    async def publish(request: Request[Any, Any, Any]) -> dict[str, int]:
        body = await request.body()
        broadcast.publish(b"data: " + body.ljust(size - 8) + b"\n\n")
        return {"bytes": size}

    return Litestar([follow, publish], openapi_config=None, logging_config=None)


def main(size: int) -> None:
    """Serve until the process is terminated; the first line printed is the address."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listening:
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        config = uvicorn.Config(
            application(size),
            log_config=None,
            access_log=False,
            server_header=False,
            ws="none",
            loop="asyncio",
            timeout_graceful_shutdown=1,
        )
        print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
        asyncio.run(uvicorn.Server(config).serve(sockets=[listening]))


if __name__ == "__main__":
    main(int(sys.argv[1]))
