"""Report a worker's health: to a file, over HTTP, and to systemd's watchdog; over HTTP its metrics, too.

The worker loop publishes its state; a thread of its own judges that by the clock and answers. So a blocked loop cannot
look healthy: the state it published last grows old.
"""

import asyncio
import contextlib
import ipaddress
import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

import msgspec
import orjson

from ...journal.async_journal import AsyncJournal
from ...journal.cursor import Cursor
from ...journal.errors import JournalError
from ...journal.numbers import is_number
from ...tasks.errors import ValidationError
from ...tasks.metrics.table import Distribution, Sample
from ..errors import HealthUnavailable
from ..limits import HEALTH_INTERVAL_SECONDS
from .progress import Judgement, ReadProgress, WorkerHealth, judge, progress
from .systemd import notify, watchdog_wanted

if TYPE_CHECKING:
    from .http import HealthServer

logger = logging.getLogger("journeyman.worker")

_PORT_MAX: Final = 65_535

# Makes the samples of the metrics of the facts of a report; called by the threads that answer.
Samples = Callable[[dict[str, Any]], Sequence[Sample | Distribution]]


class Monitored(Protocol):
    """The object whose health is reported: a worker loop."""

    def health(self) -> WorkerHealth | None:
        """Return its state, or None before it works. To be called in its event loop; causes a turn of the loop."""
        ...


class HealthTarget(msgspec.Struct, frozen=True):
    """Where to report: a file at `path`, or HTTP on `host`:`port` (port 0: a free one)."""

    path: str = ""
    host: str = ""
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> "HealthTarget":
        """`PATH` or `HOST:PORT`; without a host the loopback address. `ValidationError` says what was expected."""
        host, colon, port = text.rpartition(":")
        if colon and "/" not in text and is_number(port):
            if int(port) > _PORT_MAX:
                raise ValidationError(f"--health: a port is a number up to {_PORT_MAX}, got {port}")
            return cls(host=host.strip("[]") or "127.0.0.1", port=int(port))
        if colon and _is_host(host):
            raise ValidationError(
                f"--health takes HOST:PORT, and the port is a number up to {_PORT_MAX}; got {text!r}. "
                f"A file of that name is ./{text}"
            )
        if not text or text.endswith("/") or Path(text).is_dir():
            raise ValidationError(
                f"--health takes a file, such as /run/shop/health.json, or HOST:PORT, such as 127.0.0.1:8081; "
                f"got {text!r}"
            )
        return cls(path=text)


def _is_host(host: str) -> bool:
    """Return whether `host` is unlikely to be part of a file's name: empty, `localhost`, or an address."""
    try:
        return host in ("", "localhost") or bool(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return False


class HealthState:
    """The state that the loop published last, and the judgement of it at any moment. Read by any thread."""

    def __init__(self) -> None:
        self.health: WorkerHealth | None = None
        self.seen: ReadProgress | None = None
        self._looked_applied: Mapping[int, int] = {}

    def look(self, applied: Mapping[int, int], end: Mapping[int, int], now: float) -> None:
        """Record where the log ends, and what was applied when that was read."""
        self.seen = progress(self.seen, self._looked_applied, applied, end, now)
        self._looked_applied = applied

    def report(self) -> tuple[Judgement, dict[str, Any]]:
        """Return the judgement now, and the facts it rests on."""
        now, health, seen = time.monotonic(), self.health, self.seen
        judgement = judge(health, seen, now)
        facts: dict[str, Any] = {"healthy": judgement.healthy, "reasons": judgement.reasons, "pid": os.getpid()}
        facts["timestamp"] = time.time()
        if health is not None:
            facts |= {
                "worker": health.worker,
                "draining": health.draining,
                "claims": health.claims,
                "lease_seconds": health.lease_seconds,
                "applied": str(Cursor(health.applied)),
                "turned_seconds_ago": now - health.turned_at,
                "acknowledged_seconds_ago": None if health.acknowledged_at is None else now - health.acknowledged_at,
            }
        if seen is not None:
            facts |= {"behind": seen.behind, "moved_seconds_ago": now - seen.moved_at}
            facts["journal_answered_seconds_ago"] = now - seen.looked_at
        return judgement, facts


def _no_samples(_: dict[str, Any]) -> list[Sample | Distribution]:
    return []


@contextlib.asynccontextmanager
async def reporting(
    monitored: Monitored, journal: AsyncJournal, target: HealthTarget | None, samples: Samples = _no_samples
) -> AsyncIterator[None]:
    """Report the health of `monitored` to `target` and to systemd's watchdog, inside the `async with` block.

    Over HTTP it also exports metrics: `samples` makes them of the facts of the report.

    Does nothing without either of them. `HealthUnavailable` if the file cannot be written or the port not be bound.
    """
    if target is None and not watchdog_wanted():
        yield
        return
    health_state = HealthState()
    with _Reporter(health_state, target, samples) as reporter:
        publishing = [
            asyncio.ensure_future(_publish(monitored, health_state)),
            asyncio.ensure_future(_look(monitored, health_state, journal)),
        ]
        try:
            logger.info("health is reported at %s", reporter.address)
            yield
        finally:
            for task in publishing:
                task.cancel()
            await asyncio.gather(*publishing, return_exceptions=True)


async def _publish(monitored: Monitored, health_state: HealthState) -> None:
    """Publish the worker's state every `HEALTH_INTERVAL_SECONDS`."""
    while True:
        health_state.health = monitored.health()
        await asyncio.sleep(HEALTH_INTERVAL_SECONDS)


async def _look(monitored: Monitored, health_state: HealthState, journal: AsyncJournal) -> None:
    """Read the end of the journal every `HEALTH_INTERVAL_SECONDS`, and compare it with the applied position."""
    while True:
        if monitored.health() is not None:  # a loop that works has opened the journal
            with contextlib.suppress(JournalError):  # the last answer then grows old, which the judgement detects
                end = (await journal.bounds()).end
                health = monitored.health()
                if health is not None:
                    health_state.look(health.applied, end, time.monotonic())
        await asyncio.sleep(HEALTH_INTERVAL_SECONDS)


class _Reporter:
    """The thread that judges: writes the file, answers HTTP, feeds the watchdog."""

    def __init__(self, health_state: HealthState, target: HealthTarget | None, samples: Samples) -> None:
        self._health_state = health_state
        self._path = Path(target.path) if target is not None and target.path else None
        self._server = _serve(health_state, target, samples) if target is not None and not target.path else None
        self._over = threading.Event()
        self._failing = False
        self._threads = [threading.Thread(target=self._go_on, name="journeyman-health", daemon=True)]
        if self._server is not None:
            serve = self._server.serve_forever
            self._threads.append(threading.Thread(target=serve, name="journeyman-health-http", daemon=True))

    @property
    def address(self) -> str:
        """The file or URL at which it reports, for the log."""
        if self._server is None:
            return str(self._path) if self._path is not None else "systemd's watchdog"
        return self._server.url

    def __enter__(self) -> Self:
        if self._path is not None:
            try:
                self._write(self._path)
            except OSError as error:
                raise HealthUnavailable(f"the file for --health cannot be written: {error}") from error
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        for thread in self._threads:
            thread.join()
        if self._path is not None:
            self._path.unlink(missing_ok=True)  # a worker that has left must not look healthy

    def _go_on(self) -> None:
        while not self._over.wait(HEALTH_INTERVAL_SECONDS):
            if self._path is not None:
                try:
                    self._write(self._path)
                    self._failing = False
                except OSError as error:
                    if not self._failing:
                        logger.warning("the file for --health cannot be written: %s", error)
                    self._failing = True
            if watchdog_wanted() and self._health_state.report()[0].healthy:
                notify("WATCHDOG=1")

    def _write(self, path: Path) -> None:
        """Replace the file atomically: a reader sees the old report or the new one, never a part."""
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.write_bytes(orjson.dumps(self._health_state.report()[1]) + b"\n")
        draft.replace(path)


def _serve(health_state: HealthState, target: HealthTarget, samples: Samples) -> "HealthServer":
    from .http import HealthServer  # imported only if HTTP is used

    try:
        return HealthServer(target.host, target.port, health_state.report, samples)
    except OSError as error:
        raise HealthUnavailable(f"--health cannot listen on {target.host}:{target.port}: {error}") from error
