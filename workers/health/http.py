"""Serve the health report over HTTP, from threads of its own: 200 or 503, with the facts as JSON; and the metrics."""

import logging
import socket
import socketserver
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar

import orjson

from ...tasks.metrics.exposition import MetricsMissing, expose
from ...tasks.metrics.table import Distribution, Sample
from ..limits import HEALTH_REQUEST_SECONDS_MAX
from .progress import Judgement

logger = logging.getLogger("journeyman.worker")

Report = Callable[[], tuple[Judgement, dict[str, Any]]]


class HealthServer(socketserver.ThreadingTCPServer):
    """Listens on `host`:`port` (0: a free one); `OSError` if it cannot listen.

    It answers GET /metrics with `samples(facts)`, and any other path with `report()`.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(
        self, host: str, port: int, report: Report, samples: Callable[[dict[str, Any]], Sequence[Sample | Distribution]]
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.report, self.samples = report, samples
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
        if self.path.partition("?")[0] == "/metrics":
            self._answer_metrics(facts, with_body=with_body)
            return
        body = orjson.dumps(facts) + b"\n"
        self._send(200 if judgement.healthy else 503, "application/json", body, with_body=with_body)

    def _answer_metrics(self, facts: dict[str, Any], *, with_body: bool) -> None:
        try:
            body, content_type = expose(self.server.samples(facts), self.headers.get("Accept", ""))
        except MetricsMissing as error:
            self._send(501, "text/plain; charset=utf-8", f"{error}\n".encode(), with_body=with_body)
        else:
            self._send(200, content_type, body, with_body=with_body)

    def _send(self, status: int, content_type: str, body: bytes, *, with_body: bool) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class calls it so
        logger.debug("health: %s", format % args)
