"""A bare Litestar route that answers a fixed number of bytes: the floor of what the service answers."""

import asyncio
import socket
import sys

import uvicorn
from litestar import Litestar, get
from litestar.response import Response


def application(size: int) -> Litestar:
    """Return an application whose `/` answers `size` bytes of JSON."""
    body = b'"%b"' % (b"x" * max(0, size - 2))

    @get("/", sync_to_thread=False, include_in_schema=False)
    def answer() -> Response[bytes]:
        return Response(body, media_type="application/json")

    return Litestar([answer], openapi_config=None, logging_config=None)


def main(size: int) -> None:
    """Serve until the process is terminated; the first line printed is the address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        config = uvicorn.Config(
            application(size), log_config=None, access_log=False, server_header=False, ws="none", loop="asyncio"
        )
        print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
        asyncio.run(uvicorn.Server(config).serve(sockets=[listening]))


if __name__ == "__main__":
    main(int(sys.argv[1]))
