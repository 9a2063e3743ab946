"""Six workers and a stream of tasks, locks, chains and ticks, while workers are hurt at random."""

import math
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import journeyman as jm

from torture import torture_tasks
from torture.checker import check
from torture.outages import OutageProbe
from torture.verdicts import Verdicts, Wound
from torture.work import Shares, Work, all_events

TESTS = Path(__file__).parents[1]


@dataclass(frozen=True)
class Plan:
    """How long, how many, how hard. Times in seconds, the lease in ms."""

    url: str
    tasks: int = 10_000
    workers: int = 6
    seconds: float = 120.0
    every: float = 1.0
    lease_ms: int = 2_000
    seed: int = 0
    long_share: float = 0.01  # of the tasks take half a second, so that workers are hurt while they hold claims


@dataclass
class Hurt:
    """The faults so far: when, on which process, and how many of each kind."""

    wounds: list[Wound] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


class Workers:
    """Real worker processes, started with the command a user types; always as many as planned."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.processes: list[subprocess.Popen[bytes]] = []
        self.stopped: set[int] = set()
        self.exits: Counter[int] = Counter()

    def fill(self) -> None:
        for process in list(self.processes):
            code = process.poll()
            if code is not None:
                self.processes.remove(process)
                self.exits[code] += 1
        while len(self.processes) < self.plan.workers:
            self.processes.append(self._start())

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "journeyman", "worker", "torture.torture_tasks", "--journal", self.plan.url]
        options = ["--lease-ms", str(self.plan.lease_ms), "--threads", "4", "--log-level", "ERROR"]
        return subprocess.Popen([*command, *options], cwd=TESTS, stdout=subprocess.DEVNULL)

    def hurt(self, chance: random.Random, hurt: Hurt) -> None:
        """Kill, stop for longer than the lease, or terminate one of them."""
        living = [process for process in self.processes if process.pid not in self.stopped and process.poll() is None]
        if not living:
            return
        process = chance.choice(living)
        number = chance.choice((signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM))
        hurt.counts[number.name] += 1
        begun, ended = time.time(), math.inf
        if number is signal.SIGSTOP:
            # By a timer of its own: a worker that was stopped while it commits holds up every writer, this one too.
            self.stopped.add(process.pid)
            pause = self.plan.lease_ms / 1_000 * chance.uniform(1.2, 2.0)
            ended = begun + pause
            threading.Timer(pause, self._resume, [process.pid]).start()
        hurt.wounds.append(Wound(process.pid, begun, ended))
        self._signal(process.pid, number)

    def _resume(self, pid: int) -> None:
        self._signal(pid, signal.SIGCONT)
        self.stopped.discard(pid)

    def close(self) -> None:
        for process in self.processes:
            self._signal(process.pid, signal.SIGCONT)
            process.terminate()
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    @staticmethod
    def _signal(pid: int, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def torture(
    plan: Plan, say: Callable[[str], None] = lambda _: None, also: Callable[[float], None] = lambda _: None
) -> tuple[Verdicts, Hurt, float]:
    """Carry out the plan, wait until the queue is empty, and judge. `also(elapsed)` is called at each turn."""
    chance, hurt = random.Random(plan.seed), Hurt()
    with jm.Journal(plan.url) as journal, OutageProbe(plan.url) as probe:
        torture_tasks.broker.bind(journal)
        work = Work(journal, chance, Shares(plan.long_share), plan.lease_ms / 1_000)
        workers = Workers(plan)
        begun = time.monotonic()
        try:
            next_hurt = begun + plan.every
            while (
                (elapsed := time.monotonic() - begun) < plan.seconds
                or len(work.accepted) < plan.tasks
                or not work.has_ticked()
            ):
                workers.fill()
                work.submit(min(plan.tasks, int(plan.tasks * elapsed / plan.seconds) + plan.workers))
                work.turn_schedule(elapsed / plan.seconds)
                if time.monotonic() >= next_hurt and elapsed < plan.seconds:
                    next_hurt += plan.every * chance.uniform(0.5, 1.5)
                    workers.hurt(chance, hurt)
                also(elapsed)
                say(f"{elapsed:5.1f} s, {len(work.accepted):,} submitted, hurt {dict(hurt.counts)}")
                time.sleep(0.05)
            work.end_schedule()
            finish(journal, workers, work.accepted, say)
        finally:
            workers.close()
        seconds = time.monotonic() - begun
        return check(all_events(journal), work.accepted, hurt.wounds, probe.outages), hurt, seconds


def finish(journal: jm.Journal, workers: Workers, accepted: set[str], say: Callable[[str], None]) -> None:
    """The faults are over: everything that was accepted has to come to its end."""
    tracker = jm.StatusTracker(journal)
    deadline = time.monotonic() + 120
    ends = (jm.TaskStatus.SUCCEEDED, jm.TaskStatus.FAILED)
    for count, task in enumerate(sorted(accepted)):
        while tracker.wait_for(task, ends, timeout=0.5, raise_on_timeout=False) not in ends:
            workers.fill()
            if time.monotonic() > deadline:
                return
        if count % 1_000 == 0:
            say(f"{count:,} of {len(accepted):,} tasks have ended")
