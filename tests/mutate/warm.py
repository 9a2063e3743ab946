"""Judge mutants quickly: one process collects the concern's tests, and a fork of it runs those that reach the bug.

The caller judges a mutant that survives here again by `judge`, in fresh processes and by all tests of its concern.
"""

import ast
import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import suppress
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from simulation.__main__ import KINDS, run

from .concern import Concern
from .judge import NOT_SWAPPED, PYTEST_OPTIONS, ROOT, RUN_SECONDS_MAX, TESTS, Verdict, module_name
from .mutants import Mutant, planted
from .reach import Reach, Recorder
from .swap import NotSwappedError, Swaps, statement

# A test hangs by the bug if it takes so many seconds, or uses so many times the processor time that it is granted: one
# second more than the test took when it was recorded.
_HANGS_SECONDS: Final = 30
_PROCESSOR_TIMES: Final = 10
_SIMULATION_PROCESSOR_SECONDS: Final = 3
_SLOW_SECONDS: Final = 2  # tests that take at least this long run after the simulation
_FEW: Final = 12  # if there are fewer mutants, it is quicker to judge each in a process of its own
_SAID_MAX: Final = 4_000  # characters of pytest's output, the last ones


class Way(NamedTuple):
    """How to judge: `jobs` mutants at a time; `quick` leaves out the slow tests, so more mutants survive."""

    jobs: int
    quick: bool = False


class _Fork:
    """A forked process that calls `work()` and sends its result through `pipe`."""

    def __init__(self, work: Callable[[], Any], directory: str) -> None:
        self.begun: Final = time.monotonic()
        self.pipe, told = Pipe(duplex=False)
        self._process: Final = os.fork()
        if not self._process:
            self.pipe.close()  # else `send` would not fail once the parent has ended
            self._work(work, told, directory)
        told.close()

    def _work(self, work: Callable[[], Any], told: Connection, directory: str) -> None:
        try:
            os.setsid()
            os.environ["TMPDIR"] = tempfile.tempdir = directory
            told.send(work())
        finally:
            os._exit(0)

    def end(self) -> Any:
        """Kill the process and what it started; return its result, or say that it hangs or ended without one."""
        try:
            said = self.pipe.recv() if self.pipe.poll() else "it hangs"
        except EOFError:
            said = "the end of its process"
        self.pipe.close()
        os.killpg(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)
        return said


class Warm:
    """A plugin of pytest that judges mutants instead of running the tests once."""

    def __init__(
        self, mutants: list[Mutant], concern: Concern, way: Way, tell: Callable[[Mutant, Verdict], None]
    ) -> None:
        self._mutants: Final = mutants
        self.concern: Final = concern
        self._way: Final = way
        self._tell: Final = tell
        self._failed: Final[list[str]] = []
        self._noticing: Final = Counter[str]()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note which tests fail."""
        if report.failed:
            self._failed.append(report.nodeid)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Record what the tests reach, then judge each mutant in a fork."""
        files = {str(ROOT / mutant.path) for mutant in self._mutants}
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
            recording = _Fork(lambda: self._reached(session.items, files), directory)
            wait([recording.pipe])
            reached = recording.end()
        swaps = Swaps(ROOT)
        for mutant, verdict in self._judged(session.items, reached, swaps):
            self._tell(mutant, verdict)
        return True

    def _reached(self, items: list[pytest.Item], files: AbstractSet[str]) -> dict[str, Reach]:
        """Run all tests under the tracer. A test that fails so, perhaps since tracing slows it, is left to `judge`."""
        reached = Recorder(files).record(items)
        return {test: reach for test, reach in reached.items() if test not in self._failed}

    def _judged(
        self, items: list[pytest.Item], reached: dict[str, Reach], swaps: Swaps
    ) -> Iterator[tuple[Mutant, Verdict]]:
        waiting, running = self._mutants[::-1], dict[Connection, tuple[Mutant, _Fork, Any]]()
        while waiting or running:
            while waiting and len(running) < self._way.jobs:
                mutant = waiting.pop()
                directory = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
                work = partial(self._noticed, mutant, self._chosen(mutant, items, reached), swaps, directory.name)
                fork = _Fork(work, directory.name)
                running[fork.pipe] = mutant, fork, directory
            ready = wait(list(running), timeout=1)
            for pipe, (mutant, fork, directory) in list(running.items()):
                seconds = time.monotonic() - fork.begun
                if pipe in ready or seconds > RUN_SECONDS_MAX:
                    del running[pipe]
                    verdict = Verdict(fork.end(), seconds)
                    self._noticing[verdict.noticed_by] += 1
                    yield mutant, verdict
                    directory.cleanup()

    def _chosen(
        self, mutant: Mutant, items: list[pytest.Item], reached: dict[str, Reach]
    ) -> list[tuple[float, pytest.Item]]:
        """The tests that may reach the bug: those first that are quick, or have noticed many mutants before."""
        path, chosen = ROOT / mutant.path, []
        lines = {(str(path), line) for line in statement(ast.parse(path.read_text(encoding="utf-8")), mutant.line)}
        for item in items:
            reach = reached.get(item.nodeid)
            if reach is not None and (reach.starts_processes or lines & reach.lines):
                chosen.append((reach.seconds, item))
        return sorted(chosen, key=lambda each: each[0] / (1 + self._noticing[each[1].nodeid]))

    def _noticed(self, mutant: Mutant, chosen: list[tuple[float, pytest.Item]], swaps: Swaps, directory: str) -> str:
        """Plant the bug in this fork; return which test notices it, or the simulation, or nothing."""
        source = Path(directory, "mutant.py")
        source.write_text(planted(mutant, ROOT), encoding="utf-8")
        os.environ.update(JOURNEYMAN_MUTANT=module_name(mutant.path), JOURNEYMAN_MUTANT_SOURCE=str(source))
        try:
            swaps.plant(mutant)
        except NotSwappedError:
            return NOT_SWAPPED
        quick = [each for each in chosen if each[0] < _SLOW_SECONDS]
        slow = [each for each in chosen if each[0] >= _SLOW_SECONDS and not self._way.quick]
        return self._test(quick) or self._simulation() or self._test(slow)

    def _test(self, chosen: list[tuple[float, pytest.Item]]) -> str:
        items = [item for _, item in chosen]
        for (seconds, item), following in zip(chosen, [*items[1:], None], strict=False):
            _limit_processor(1 + seconds)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self._failed:
                return self._failed[0]
        return ""

    def _simulation(self) -> str:
        _limit_processor(_SIMULATION_PROCESSOR_SECONDS)
        try:
            for name in KINDS if self.concern.worlds else ():
                run(name, 0, self.concern.worlds)
        except BaseException:  # whatever the bug raises
            return "the simulation"
        return ""


def _limit_processor(seconds: float) -> None:
    """Have a signal end this process once it has used `_PROCESSOR_TIMES` these seconds of processor time from now."""
    signal.setitimer(signal.ITIMER_PROF, _PROCESSOR_TIMES * seconds)


def warm_verdicts(mutants: list[tuple[Mutant, Concern]], way: Way) -> Iterator[tuple[Mutant, Concern, Verdict]]:
    """Yield each mutant with its concern and verdict; the verdict is `NOT_SWAPPED` if a fork cannot judge it."""
    for concern in dict.fromkeys(concern for _, concern in mutants):
        rest = {mutant.name: mutant for mutant, its in mutants if its == concern}
        for name, verdict in verdicts(list(rest.values()), concern, way) if len(rest) >= _FEW else ():
            yield rest.pop(name), concern, verdict
        for mutant in rest.values():
            yield mutant, concern, Verdict(NOT_SWAPPED, 0.0)


def verdicts(mutants: list[Mutant], concern: Concern, way: Way) -> Iterator[tuple[str, Verdict]]:
    """Run pytest with the plugin in a forked process, so that this one imports no tests; yield names and verdicts."""
    with tempfile.TemporaryFile() as log:
        told, tell = Pipe(duplex=False)

        def work() -> int:
            told.close()
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            return _run_pytest(Warm(mutants, concern, way, lambda mutant, verdict: tell.send((mutant.name, verdict))))

        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
            fork = _Fork(work, directory)
            tell.close()
            try:
                with suppress(EOFError):  # the process has ended
                    while True:
                        yield told.recv()
            finally:
                status = fork.end()
        if status:
            log.seek(0)
            raise RuntimeError(f"pytest ended with {status}:\n{log.read().decode(errors='replace')[-_SAID_MAX:]}")


def _run_pytest(plugin: Warm) -> int:
    os.chdir(ROOT)
    os.environ["PYTHONPATH"] = str(TESTS / "mutate" / "hook")
    tests = [f"tests/{test}" for test in plugin.concern.tests]
    return int(pytest.main([*PYTEST_OPTIONS, f"--timeout={_HANGS_SECONDS}", *tests], plugins=[plugin]))
