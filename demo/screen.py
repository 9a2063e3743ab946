"""Show the progress of the demonstration: a bar on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..tasks.inspection.wording import short_id
from .daemons import Daemon
from .fold import DemoView
from .limits import BAR_COLUMNS, PLAIN_STEPS, REDRAW_SECONDS


class Screen:
    """Draws how far `total` tasks and their check have come."""

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._total = total
        self._live = Live(console=console, auto_refresh=False, transient=False) if console.is_terminal else None
        self._drawn_at = 0.0
        self._steps_said = 0
        self._started_at = time.monotonic()

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
        else:
            self._console.print()

    def say(self, *parts: str | tuple[str, str]) -> None:
        """Print a line above the bar, which stays."""
        self._console.print(Text.assemble(*parts), soft_wrap=True)

    def draw(self, view: DemoView, daemons: Sequence[Daemon], checked: int, *, last: bool = False) -> None:
        """Show the progress, at most once in `REDRAW_SECONDS`, which costs nothing noticeable."""
        now = time.monotonic()
        if self._live is None:
            self._say_step(view.done)
        elif last or now >= self._drawn_at + REDRAW_SECONDS:
            self._drawn_at = now
            self._live.update(self._picture(view, daemons, checked), refresh=True)

    def _say_step(self, done: int) -> None:
        step = done * PLAIN_STEPS // self._total
        if step > self._steps_said:
            self._steps_said = step
            self.say(f"  {done:,} of {self._total:,} tasks done")

    def _picture(self, view: DemoView, daemons: Sequence[Daemon], checked: int) -> Group:
        seconds = time.monotonic() - self._started_at
        bars = Table.grid(padding=(0, 2))
        bars.add_row("  tasks", self._bar(view.done), self._count(view.done), Text(f"{seconds:.0f} s", "dim"))
        bars.add_row("  direct check", self._bar(checked, "dim cyan"), self._count(checked), "")
        workers = Table.grid(padding=(0, 2))
        for daemon in daemons:
            workers.add_row(*_row(daemon, view))
        return Group(Text(), bars, Text(), workers, Text())

    def _bar(self, done: int, style: str = "cyan") -> ProgressBar:
        return ProgressBar(self._total, done, width=BAR_COLUMNS, complete_style=style, finished_style="green")

    def _count(self, done: int) -> Text:
        return Text(f"{done:>{len(f'{self._total:,}')},} of {self._total:,}")


def _row(daemon: Daemon, view: DemoView) -> tuple[Text, ...]:
    style = "dim" if daemon.killed_at is not None else ""
    name = Text(f"  worker {short_id(daemon.worker)}" if daemon.worker else "  worker starting", style)
    done = Text(f"{view.done_by[daemon.worker]:>5,} done" if daemon.worker else "", style)
    held = view.held(daemon.worker) if daemon.worker else 0
    if daemon.killed_at is None:
        state = Text(_doing(daemon, held), "dim")
    elif held:
        state = Text(f"killed; its lease still holds {held}", "red")
    else:
        state = Text("killed; others took over", "dim")
    return name, Text(f"pid {daemon.pid}", "dim"), done, state


def _doing(daemon: Daemon, held: int) -> str:
    if not daemon.worker:
        return ""
    return f"holds {held}" if held else "idle"
