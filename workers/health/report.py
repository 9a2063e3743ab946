"""Telling others whether a worker is well: through a file, over HTTP, and to systemd's watchdog.

The loop publishes its vitals; a thread of its own judges them by the clock and answers. So a loop that is blocked
cannot say that it is well: what it published last grows old.
"""

import asyncio
import contextlib
import ipaddress
import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

import msgspec
import orjson

from ...journal.async_journal import AsyncJournal
from ...journal.cursor import Cursor
from ...journal.errors import JournalError
from ...journal.numbers import is_number
from ...tasks.errors import ValidationError
from ..errors import HealthUnavailable
from ..limits import HEALTH_INTERVAL_SECONDS
from .progress import Judgement, Progress, WorkerHealth, judge, progress
from .systemd import notify, watchdog_wanted

if TYPE_CHECKING:
    from .http import HealthServer

logger = logging.getLogger("journeyman.worker")

_PORT_MAX: Final = 65_535


class Monitored(Protocol):
    """What is looked after: a foreman."""

    def health(self) -> WorkerHealth | None:
        """What its loop says of itself, called in the loop; None before it works. Makes the loop turn."""
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
    """Whether it can hardly be meant as the beginning of a file's name: none, this machine, or an address."""
    try:
        return host in ("", "localhost") or bool(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return False


class HealthState:
    """What the loop has published last, and what follows from it at any moment. Read by any thread."""

    def __init__(self) -> None:
        self.health: WorkerHealth | None = None
        self.seen: Progress | None = None
        self._looked_applied: Mapping[int, int] = {}

    def look(self, applied: Mapping[int, int], end: Mapping[int, int], now: float) -> None:
        """Take note of where the log ends, and of what was applied when that was asked."""
        self.seen = progress(self.seen, self._looked_applied, applied, end, now)
        self._looked_applied = applied

    def report(self) -> tuple[Judgement, dict[str, Any]]:
        """The judgement now, and the facts it rests on."""
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


@contextlib.asynccontextmanager
async def reporting(patient: Monitored, journal: AsyncJournal, target: HealthTarget | None) -> AsyncIterator[None]:
    """Report on `patient` while in here, to `target` and to systemd's watchdog.

    Does nothing where nobody wants to know. `HealthUnavailable` if the file cannot be written or the port not be had.
    """
    if target is None and not watchdog_wanted():
        yield
        return
    health_state = HealthState()
    with _Reporter(health_state, target) as reporter:
        publishing = [
            asyncio.ensure_future(_publish(patient, health_state)),
            asyncio.ensure_future(_look(patient, health_state, journal)),
        ]
        try:
            logger.info("health is reported at %s", reporter.address)
            yield
        finally:
            for task in publishing:
                task.cancel()
            await asyncio.gather(*publishing, return_exceptions=True)


async def _publish(patient: Monitored, health_state: HealthState) -> None:
    """Publish the vitals, again and again."""
    while True:
        health_state.health = patient.health()
        await asyncio.sleep(HEALTH_INTERVAL_SECONDS)


async def _look(patient: Monitored, health_state: HealthState, journal: AsyncJournal) -> None:
    """Ask the journal again and again where it ends, and see how far the worker has come by then."""
    while True:
        if patient.health() is not None:  # who works has opened the journal
            with contextlib.suppress(JournalError):  # then the last answer grows old: that is what the judgement is for
                end = (await journal.bounds()).end
                health = patient.health()
                if health is not None:
                    health_state.look(health.applied, end, time.monotonic())
        await asyncio.sleep(HEALTH_INTERVAL_SECONDS)


class _Reporter:
    """The thread that judges: writes the file, answers HTTP, feeds the watchdog."""

    def __init__(self, health_state: HealthState, target: HealthTarget | None) -> None:
        self._health_state = health_state
        self._path = Path(target.path) if target is not None and target.path else None
        self._server = _serve(health_state, target) if target is not None and not target.path else None
        self._over = threading.Event()
        self._failing = False
        self._threads = [threading.Thread(target=self._go_on, name="journeyman-health", daemon=True)]
        if self._server is not None:
            serve = self._server.serve_forever
            self._threads.append(threading.Thread(target=serve, name="journeyman-health-http", daemon=True))

    @property
    def address(self) -> str:
        """Where it reports, for people."""
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
            self._path.unlink(missing_ok=True)  # who has left is not well

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
        """Replace the file in one step: who reads it sees the old report or the new one, never a part."""
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.write_bytes(orjson.dumps(self._health_state.report()[1]) + b"\n")
        draft.replace(path)


def _serve(health_state: HealthState, target: HealthTarget) -> "HealthServer":
    from .http import HealthServer  # only who wants HTTP pays for it

    try:
        return HealthServer(target.host, target.port, health_state.report)
    except OSError as error:
        raise HealthUnavailable(f"--health cannot listen on {target.host}:{target.port}: {error}") from error
