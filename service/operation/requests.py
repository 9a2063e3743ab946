"""Count requests: how many run, how long they took, and the bytes of their answers. Pure."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple

from ...tasks.metrics.table import Distribution, Sample

# The upper bounds of the classes of request times, in seconds.
REQUEST_CLASSES: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip
# The route of requests that fit none, and the method of those that have an unusual one: a caller cannot add labels.
NO_ROUTE: Final = "(none)"
OTHER_METHOD: Final = "(other)"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Answered(NamedTuple):
    """One request that has ended: its route as a pattern, its status, its time in seconds, the bytes of its answer."""

    route: str
    method: str
    status: int
    seconds: float
    body_bytes: int
    is_stream: bool


class _Times:
    """The times of the requests of one route, method and status."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(REQUEST_CLASSES) + 1)
        self.total = 0.0


class RequestCounts:
    """The counts of a service's requests; used in its event loop alone."""

    def __init__(self) -> None:
        self.running = 0
        self._times: dict[tuple[str, str, str], _Times] = {}
        self._bytes = Counter[str]()

    def add(self, answered: Answered) -> None:
        """Count a request that has ended; the time of a stream is its reader's choice, so it is left out."""
        self._bytes[answered.route] += answered.body_bytes
        if answered.is_stream:
            return
        method = answered.method if answered.method in _METHODS else OTHER_METHOD
        times = self._times.setdefault((answered.route, method, str(answered.status)), _Times())
        times.counts[bisect_left(REQUEST_CLASSES, answered.seconds)] += 1
        times.total += answered.seconds

    def samples(self) -> Iterator[Sample | Distribution]:
        """Yield the samples of the metrics about requests."""
        yield Sample("journeyman_requests_running", (), self.running)
        for labels, times in self._times.items():
            counts = tuple(times.counts)
            yield Distribution("journeyman_request_seconds", labels, REQUEST_CLASSES, counts, times.total)
        for route, count in self._bytes.items():
            yield Sample("journeyman_response_bytes_total", (route,), count)
