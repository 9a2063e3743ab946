"""Run the demonstration: workers share the files of the standard library as tasks, and one of them is killed."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import NamedTuple
from urllib.parse import quote

from rich.console import Console

from ..consumers.views.replica import Replica
from ..journal.journal import Journal
from ..tasks.broker import Broker
from ..tasks.inspection.wording import short_id
from ..tasks.message import new_id
from ..tasks.state import names
from .daemons import Daemon, Daemons
from .direct import DirectComputation
from .fold import DemoView
from .interruption import Interruption
from .limits import EXIT_SECONDS_MAX, STALL_SECONDS_MAX, STEP_SECONDS
from .replay import History, Replay, replay
from .report import Report, describe_input, print_live, print_replay, print_report
from .screen import Screen
from .source import library_files, library_root
from .tasks import examine_source
from .verdict import disagreements


class DemoFailed(Exception):
    """The demonstration could not be completed; the message says why."""


class _Stage(NamedTuple):
    """The objects that the phases of one run share."""

    console: Console
    journal: Journal
    paths: dict[str, str]
    view: DemoView
    replica: Replica[DemoView]
    daemons: Daemons
    direct: DirectComputation


def run_demo(
    console: Console, url: str | None = None, workers: int = 2, *, keep: bool = False, files: int | None = None
) -> bool:
    """Run the demonstration and return whether everything agreed.

    `url` None: a fresh file, removed at the end unless `keep`. `files`: so many only, evenly chosen; None for all.
    Raises `DemoFailed`, and `Stopped` when a signal ends it; either way no process is left behind.
    """
    with Interruption() as interruption, ExitStack() as stack:
        scratch = Path(stack.enter_context(TemporaryDirectory(prefix="journeyman-demo-")))
        kept = None
        if url is None:
            kept = Path(mkdtemp(prefix="journeyman-demo-journal-")) if keep else None
            url = f"sqlite:///{quote(str((kept or scratch) / 'journal.db'))}"
        stage = _prepare(stack, console, url, _chosen(files), scratch, interruption)
        report = _perform(stage, workers)
        print_report(console, report)
        if kept is not None:
            _say_where(console, url, report)
        return not report.problems


def _chosen(files: int | None) -> list[str]:
    every = library_files(library_root())
    if not every:
        raise DemoFailed(f"no .py file below {library_root()}: this Python keeps its standard library elsewhere")
    step = 1 if files is None else max(1, len(every) // files)
    return every[::step][:files]


def _prepare(
    stack: ExitStack, console: Console, url: str, paths: Sequence[str], scratch: Path, interruption: Interruption
) -> _Stage:
    """Open the journal, submit the tasks, and prepare everything that `stack` closes again."""
    journal = stack.enter_context(Journal(url))
    describe_input(console, library_root(), len(paths))
    begin = journal.bounds().end
    queue = f"demo-{new_id()[-8:]}"  # of this run alone: no other worker takes its tasks, its workers take no others
    messages = [examine_source.generate(kwargs={"path": path}, queue=queue, submit=False) for path in paths]
    started = time.perf_counter()
    Broker(journal).submit_all(messages, new=True)
    seconds = time.perf_counter() - started
    console.print(f"  journal  {journal.url}")
    console.print(f"  queue    {queue}: {len(messages):,} tasks submitted in {seconds:.2f} s, durable", soft_wrap=True)
    ids = {message.uuid: str(message.kwargs["path"]) for message in messages}
    view = DemoView(ids, begin)
    replica = Replica(journal.asynchronous, view)
    stack.callback(lambda: journal.run(replica.aclose()))
    direct = DirectComputation(library_root(), paths)
    stack.callback(direct.stop)
    daemons = stack.enter_context(Daemons(url, queue, scratch, interruption))
    return _Stage(console, journal, ids, view, replica, daemons, direct)


def _perform(stage: _Stage, workers: int) -> Report:
    console, view, daemons = stage.console, stage.view, stage.daemons
    console.print(f"  workers  {workers}, started as\n           {daemons.typed(stage.journal.url)}", soft_wrap=True)
    for _ in range(workers):
        daemons.start()
    stage.direct.start()
    with Screen(console, len(stage.paths)) as screen:
        _Work(stage, screen).do()
    replayed = _replay(stage)
    stage.journal.run(stage.replica.catch_up())
    problems = disagreements(stage.paths, view, stage.direct.facts)
    problems += [*_unreplayed(stage, replayed), *_unruly(daemons, replayed)]
    return Report(stage.paths, view, replayed, problems)


class _Work:
    """Watches the workers: kills one of them, and shows the progress that the journal records."""

    def __init__(self, stage: _Stage, screen: Screen) -> None:
        self._stage = stage
        self._screen = screen
        self._total = len(stage.paths)
        self._victim: Daemon | None = None
        self._victim_held = 0
        self._killed_at = 0.0
        self._moved_at = time.monotonic()

    def do(self) -> None:
        """Watch until every task is over, every worker has come, and the direct computation is done as well."""
        view, direct = self._stage.view, self._stage.direct
        while view.done < self._total or self._awaited:
            self._turn()
        while not direct.finished(STEP_SECONDS):
            self._draw()
        self._draw(last=True)
        if self._victim is None:
            raise DemoFailed(f"all {self._total} tasks were done before a worker could be killed: use more files")

    def _turn(self) -> None:
        stage = self._stage
        done = stage.view.done
        stage.journal.run(stage.replica.advance(STEP_SECONDS))
        if stage.view.done > done:
            self._moved_at = time.monotonic()
        for daemon in stage.daemons.all:
            daemon.worker = daemon.worker or stage.view.workers.get(daemon.pid, "")
        self._check_health()
        if self._victim is None:
            self._kill_at_a_third()
        elif self._victim_held:
            self._notice_takeover(self._victim)
        self._draw()

    @property
    def _awaited(self) -> list[int]:
        """The pids that were started and have not joined: the last one may join when the work is done already."""
        return [daemon.pid for daemon in self._stage.daemons.running if not daemon.worker]

    def _draw(self, *, last: bool = False) -> None:
        stage = self._stage
        self._screen.draw(stage.view, stage.daemons.all, len(stage.direct.facts), last=last)

    def _kill_at_a_third(self) -> None:
        """Kill the first worker when a third is done, at a moment when it holds tasks; a new one joins."""
        view, daemons = self._stage.view, self._stage.daemons
        victim = daemons.all[0]
        if view.done * 3 < self._total or not victim.worker or not view.held(victim.worker):
            return
        with daemons.stopped(victim):  # what it holds by the end of the journal it still holds when it is killed
            self._stage.journal.run(self._stage.replica.catch_up())
            held = view.held(victim.worker)
            if held:
                daemons.kill(victim, view.done)
        if not held:
            return
        self._victim, self._victim_held, self._killed_at = victim, held, time.monotonic()
        self._screen.say(
            ("  kill -9  ", "red"),
            f"worker {short_id(victim.worker)} at {view.done:,} of {self._total:,} tasks, "
            f"holding {held}; another joins",
        )
        daemons.start()

    def _notice_takeover(self, victim: Daemon) -> None:
        if self._stage.view.held(victim.worker):
            return
        self._victim_held = 0
        self._screen.say(
            "  expired  ",
            f"worker {short_id(victim.worker)} {time.monotonic() - self._killed_at:.1f} s later: "
            "its tasks are back in the queue",
        )

    def _check_health(self) -> None:
        for daemon in self._stage.daemons.all:
            if daemon.died:
                raise DemoFailed(
                    f"worker {daemon.pid} ended by itself with exit status {daemon.process.returncode}. "
                    f"The end of its log:\n{daemon.last_words()}"
                )
        if time.monotonic() > self._moved_at + STALL_SECONDS_MAX:
            words = "\n".join(daemon.last_words() for daemon in self._stage.daemons.running)
            raise DemoFailed(
                f"no task has ended for {STALL_SECONDS_MAX:g} s, at {self._stage.view.done:,} of {self._total:,}, "
                f"and {len(self._awaited)} workers have not joined yet. The ends of the workers' logs:\n{words}"
            )


def _replay(stage: _Stage) -> Replay:
    """Replay the run; once the consumer is live, signal the workers to drain, so that live events come."""
    leaving = {daemon.worker for daemon in stage.daemons.running if daemon.worker}

    def at_sentinel(history: History) -> None:
        print_replay(stage.console, history)
        stage.daemons.terminate()

    return replay(stage.journal, stage.view.begin, at_sentinel, leaving, lambda event: print_live(stage.console, event))


def _unreplayed(stage: _Stage, replayed: Replay) -> list[str]:
    """A problem if the consumer was given more or fewer events than the view has folded."""
    brought = replayed.history.events + len(replayed.live)
    return [] if brought == stage.view.events else [f"the consumer brought {brought:,} of {stage.view.events:,} events"]


def _unruly(daemons: Daemons, replayed: Replay) -> list[str]:
    """The problems of the stream's end and of the workers' exit after SIGTERM."""
    problems = [] if replayed.ended else ["the consumer's stream did not end with None"]
    left = {event.context["worker"] for event in replayed.live if event.name == names.LEFT}
    deadline = time.monotonic() + EXIT_SECONDS_MAX
    for daemon in daemons.running:
        status = daemon.wait(max(0.0, deadline - time.monotonic()))
        if daemon.worker not in left:
            problems.append(f"the consumer was given no worker.left of worker {daemon.pid}")
        if status != 0:
            problems.append(f"worker {daemon.pid} did not drain: exit status {status}\n{daemon.last_words()}")
    return problems


def _say_where(console: Console, url: str, report: Report) -> None:
    moved = report.view.changed_owner
    console.print(f"\n  The journal is kept. Look at it:\n\n    journeyman tail --journal {url}", soft_wrap=True)
    if moved:
        console.print(f"    journeyman history {moved[0]} --journal {url}", soft_wrap=True)
