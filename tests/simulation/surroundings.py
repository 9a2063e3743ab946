"""The simulated surroundings of the product: time, chance, ids, hosts, processes.

The modules of the worker's loop get the world's clock in place of `time` and the world's chance in place of `random`.
Whatever of them asks is answered for the process that runs at that moment. Periods that are fixed in the product grow
with the lease where that is long, so that a day of simulated time costs no more than a minute.
"""

import logging
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import pytest
from journeyman.consumers.views import snapshots
from journeyman.tasks import failure_detector
from journeyman.tasks.state import dead_letters, ended
from journeyman.testing.clock import stand_in
from journeyman.testing.worker import NoIndex
from journeyman.workers.loop import dead_processes, lane, loop, reader, registration, session_watch, sessions

from .stage import Stage

if TYPE_CHECKING:
    from .world import World

# Leases up to so many seconds are lived through with the product's own periods.
_LEASE_SECONDS: Final = 4.0
_LOOP_MODULES: Final = ("journeyman.workers.loop.", "journeyman.workers.executors.", "journeyman.consumers.views.")
_SNAPSHOT_EVENTS: Final = 60


class Clock:
    """In place of the module `time`: what the process that runs sees."""

    def __init__(self, world: Stage) -> None:
        self._world = world

    def monotonic(self) -> float:
        """See `time`."""
        return self._world.running.loop.time()

    def time(self) -> float:
        """See `time`."""
        return self._world.running.wall

    def perf_counter(self) -> float:
        """See `time`."""
        return self._world.now


@contextmanager
def time_of(world: Stage, modules: tuple[str, ...]) -> Iterator[None]:
    """Let these modules of the product live in the time of that world, and be silent."""
    with stand_in(time, Clock(world), modules), pytest.MonkeyPatch.context() as patch:
        patch.setattr(logging.getLogger("journeyman"), "disabled", True)
        patch.setattr(logging.getLogger("journeyman.worker"), "disabled", True)
        yield


@contextmanager
def surroundings_of(world: "World") -> Iterator[None]:
    """Let the product live in that world."""
    chance = random.Random(f"what the workers of world {world.seed} draw at random")
    with (
        time_of(world, _LOOP_MODULES),
        stand_in(random, chance, _LOOP_MODULES),
        pytest.MonkeyPatch.context() as patch,
    ):
        _give_identity(patch, world)
        _stretch_periods(patch, world)
        patch.setattr(ended, "ENDED_TASK_EVENTS", world.forgets_after)
        patch.setattr(dead_letters, "DEAD_LETTERS_KEPT", world.letters_kept)
        patch.setattr(loop, "IndexKeeper", NoIndex)
        patch.setattr(loop, "return_large_blocks", lambda: None)
        patch.setattr(loop, "decide", _decides(world))
        yield


def _give_identity(patch: pytest.MonkeyPatch, world: "World") -> None:
    def signal(pid: int, _number: int) -> None:
        here = world.running.host
        if not any(worker.pid == pid and worker.host == here and not worker.gone for worker in world.workers):
            raise ProcessLookupError(pid)

    names = SimpleNamespace(gethostname=lambda: "the name of both hosts")
    patch.setattr(sessions, "new_id", _new_session(world))
    patch.setattr(registration, "os", SimpleNamespace(getpid=lambda: world.running.pid))
    patch.setattr(dead_processes, "os", SimpleNamespace(kill=signal))
    for module in (registration, dead_processes):
        patch.setattr(module, "machine", lambda: world.running.host)
        patch.setattr(module, "socket", names)


def _decides(world: "World") -> Any:
    def decides(*known: Any) -> Any:
        return world.running.decides(*known)

    return decides


def _new_session(world: "World") -> Any:
    def new_session() -> str:
        return world.running.new_session()

    return new_session


def _stretch_periods(patch: pytest.MonkeyPatch, world: "World") -> None:
    longer = max(1.0, world.lease / _LEASE_SECONDS)
    for module, name in (
        (loop, "WATCH_INTERVAL_SECONDS"),
        (session_watch, "WATCH_INTERVAL_SECONDS"),
        (failure_detector, "WATCH_INTERVAL_SECONDS"),
        (reader, "NOTIFIER_POLL_SECONDS"),
        (lane, "CLAIM_AHEAD_SECONDS"),
        (lane, "CLAIM_IDLE_SECONDS_MAX"),
        (lane, "OUTCOME_LINGER_SECONDS"),
    ):
        patch.setattr(module, name, getattr(module, name) * longer)
    patch.setattr(session_watch, "DEAD_PROCESSES_SECONDS", 2 * world.lease)
    patch.setattr(snapshots, "SNAPSHOT_BYTES_PER_EVENT", 1_000_000)
    patch.setattr(reader, "SnapshotKeeper", lambda log, view: snapshots.SnapshotKeeper(log, view, _SNAPSHOT_EVENTS))
