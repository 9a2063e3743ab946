"""Serve the health report over HTTP, from threads of its own: 200 or 503, with the facts as JSON."""

import logging
import socket
import socketserver
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar

import orjson

from ..limits import HEALTH_REQUEST_SECONDS_MAX
from .progress import Judgement

logger = logging.getLogger("journeyman.worker")

Report = Callable[[], tuple[Judgement, dict[str, Any]]]


class HealthServer(socketserver.ThreadingTCPServer):
    """Listens on `host`:`port` (0: a free one) and answers every GET with `report()`; `OSError` if it cannot listen."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, host: str, port: int, report: Report) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.report = report
        super().__init__((host, port), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that disconnect early."""
        logger.debug("health: the request of %s was not answered", client_address)

    @property
    def url(self) -> str:
        """The URL at which it answers."""
        host, port = self.server_address[:2]
        return f"http://[{host!s}]:{port}/" if ":" in str(host) else f"http://{host!s}:{port}/"


class _Handler(BaseHTTPRequestHandler):
    timeout: ClassVar[float] = HEALTH_REQUEST_SECONDS_MAX
    server: HealthServer
    server_version = "journeyman"
    sys_version = ""

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        judgement, facts = self.server.report()
        body = orjson.dumps(facts) + b"\n"
        self.send_response(200 if judgement.healthy else 503)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class calls it so
        logger.debug("health: %s", format % args)
