"""What the operation of a service needs: the counts of its requests, its probes and its metrics."""

from litestar.types import ASGIApp

from ...tasks.metrics.samples import RunCounts
from ..backend import Backend
from .observer import Observer
from .progress import ReplicaProgress
from .requests import RequestCounts
from .scrape import Scraper


class Operation:
    """The parts by which one service is operated."""

    def __init__(self, backend: Backend, runs: RunCounts) -> None:
        self._stopping = backend.stopping
        self.requests = RequestCounts()
        self.progress = ReplicaProgress(backend)
        self.scraper = Scraper(backend, self.progress, self.requests, runs)

    def observed(self, app: ASGIApp) -> Observer:
        """Return the application with its requests counted and logged."""
        return Observer(app, self.requests, self._stopping)
