"""A progress bar on stderr; on a terminal only."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from ..limits import PROGRESS_EVENTS_MIN
from .screen import console_for

Report = Callable[[int, int], None]


@contextmanager
def bar(what: str, unit: str, whole_min: int = PROGRESS_EVENTS_MIN) -> Iterator[Report]:
    """Yield `report(done, all)`, which draws a bar labelled `what`.

    It draws only if there are at least `whole_min` of `unit`, and removes the bar at the end.
    """
    console = console_for(stream_is_stderr=True)
    with ExitStack() as stack:
        shown: list[Progress] = []

        def report(done: int, everything: int) -> None:
            if everything < whole_min or not console.is_terminal:
                return
            if not shown:
                text = TextColumn(f"{what} {{task.completed:,.0f}} of {{task.total:,.0f}} {unit}")
                columns = (text, BarColumn(), TimeRemainingColumn())
                shown.append(stack.enter_context(Progress(*columns, console=console, transient=True)))
                shown[0].add_task("", total=everything)
            shown[0].update(shown[0].task_ids[0], completed=done)

        yield report
