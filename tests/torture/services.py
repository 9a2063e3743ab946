"""The torture over HTTP: a service that is killed, started again and stopped, behind a proxy that buffers.

Submitter, probe and workers reach the journal only by its address. Whatever is hurt, the service or a worker, nothing
that was accepted is lost and nothing is done twice.
"""

import random
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable

from support.proxy import proxy_before
from support.restarts import RestartedService

from torture.harness import Hurt, Plan, torture
from torture.verdicts import Verdicts

EVERY_SECONDS = 8.0
STOPPED_SECONDS = 4.0
AWAY_SECONDS = 1.0
WAYS = ("SIGKILL", "SIGSTOP")
# Longer than the service is away, so that the silence of a dead worker is told from that of the service.
LEASE_MS = 8_000
WORKER_EVERY_SECONDS = 4.0
LONG_SHARE = 0.05


class ServiceHurter:
    """Kills or stops the service every now and then, and mends it."""

    def __init__(self, service: RestartedService, seed: int, every: float, hurt: Counter[str]) -> None:
        self._service = service
        self._chance = random.Random(seed)
        self._every = every
        self._hurt = hurt
        self._ways: list[str] = []
        self._next = every
        self._mending: threading.Thread | None = None

    def __call__(self, elapsed: float) -> None:
        if elapsed < self._next or (self._mending is not None and self._mending.is_alive()):
            return
        self._next = elapsed + self._every
        if not self._ways:
            self._ways = self._chance.sample(WAYS, len(WAYS))
        way = self._ways.pop()
        self._hurt[f"service {way}"] += 1
        if way == "SIGSTOP":
            self._service.signal(signal.SIGSTOP)
        else:
            self._service.kill()
        self._mending = threading.Thread(target=self._mend, args=(way,))
        self._mending.start()

    def _mend(self, way: str) -> None:
        if way == "SIGSTOP":
            time.sleep(STOPPED_SECONDS)
            self._service.signal(signal.SIGCONT)
        else:
            time.sleep(AWAY_SECONDS)
            self._service.start()

    def close(self) -> None:
        if self._mending is not None:
            self._mending.join()


def torture_service(
    tasks: int, workers: int, seconds: float, seed: int, say: Callable[[str], None], every: float = EVERY_SECONDS
) -> tuple[Verdicts, Hurt, float]:
    """Carry out the plan over a service on a file, behind a proxy."""
    hurts: Counter[str] = Counter()
    with (
        tempfile.TemporaryDirectory() as directory,
        RestartedService(f"sqlite:///{directory}/torture.db") as service,
        proxy_before(service.address) as proxy,
    ):
        hurter = ServiceHurter(service, seed, every, hurts)
        plan = Plan(proxy.address, tasks, workers, seconds, WORKER_EVERY_SECONDS, LEASE_MS, seed, LONG_SHARE)
        try:
            verdicts, hurt, took = torture(plan, say, hurter)
        finally:
            hurter.close()
    hurt.counts.update(hurts)
    return verdicts, hurt, took
