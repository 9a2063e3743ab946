"""The page of a task that is followed: why it is in its state, its history, its result or error. Pure."""

from collections.abc import Iterator
from typing import Final

import orjson

from ..tasks.inspection.dead_letters import arguments, labels
from ..tasks.inspection.history import Step, TaskHistory
from ..tasks.inspection.remarks import remark
from ..tasks.inspection.wording import day_and_time, error_in, printable, short_id, span
from ..tasks.serializers import shown
from ..tasks.state import names
from ..tasks.state.view import Verdict
from .cells import Cell, Line, Tone
from .layout import cut, wrapped
from .limits import CELL_CHARS_MAX
from .question import Followed

_TONES: Final = {
    "failed": Tone.BAD,
    "worker_silent": Tone.BAD,
    "unknown": Tone.BAD,
    "succeeded": Tone.GOOD,
    "no_worker": Tone.WARN,
    "no_worker_knows": Tone.WARN,
    "queue_unserved": Tone.WARN,
    "queue_paused": Tone.WARN,
    "worker_doubtful": Tone.WARN,
    "refused": Tone.WARN,
    "last_attempt": Tone.WARN,
}
_STEP_TONES: Final = {
    names.SUCCEEDED: Tone.GOOD,
    names.FAILED: Tone.BAD,
    names.RETRIED: Tone.WARN,
    names.EXPIRED: Tone.WARN,
    names.LEFT: Tone.WARN,
    names.REVOKED: Tone.WARN,
    names.PURGED: Tone.WARN,
}


def task_page(found: Followed, width: int) -> list[Line]:
    """Return the lines of the page on a screen of that width."""
    lines: list[Line] = [(Cell(printable(found.name), Tone.STRONG), Cell(f"  {printable(found.task)}", Tone.DIM)), ()]
    for finding in found.findings:
        first, *rest = wrapped(printable(finding.sentence), width, indent=2, first=2)
        lines += [(Cell("• ", _TONES.get(finding.code, Tone.LINE)), Cell(first[0].text[2:])), *rest]
    history = found.history
    if history is not None:
        lines += [(), *_call(history, width), (), *_steps(history, width), (), *_ending(history, width)]
    return [cut(line, width) for line in lines]


def _call(history: TaskHistory, width: int) -> Iterator[Line]:
    given = arguments(history)
    if given:
        yield from wrapped(printable(given.call(history.task.name)), width, Tone.DIM, 2)
    if said := labels(history).in_words():
        yield (Cell(printable(said), Tone.DIM),)
    if history.is_truncated:
        yield (Cell("retention has removed the beginning", Tone.WARN),)


def _steps(history: TaskHistory, width: int) -> Iterator[Line]:
    shown_day, previous = "", None
    for step in history.steps:
        at = step.event.timestamp
        day, clock = day_and_time(at)
        if day != shown_day:
            yield (Cell(day, Tone.DIM),)
        yield from _step(step, clock, "" if previous is None else f"+{span(at - previous)}", history.hosts, width)
        shown_day, previous = day, at


def _step(step: Step, clock: str, since: str, hosts: dict[str, str], width: int) -> Iterator[Line]:
    refused = step.verdict is Verdict.REFUSED
    by = short_id(step.worker) if step.worker else ""
    if step.worker in hosts:
        by += f" on {printable(hosts[step.worker])}"
    tone = Tone.DIM if refused else _STEP_TONES.get(step.event.name, Tone.PLAIN)
    line = (
        Cell(clock, Tone.DIM),
        Cell(f"{since:>13}  ", Tone.DIM),
        Cell(f"{step.event.name:<17}", tone),
        Cell(f" {by}"),
    )
    said = remark(step)
    used = sum(len(each.text) for each in line)
    remark_tone = Tone.BAD if refused else Tone.WARN if step.reason else Tone.PLAIN
    if said and used + 2 + len(said) <= width:
        yield (*line, Cell(f"  {said}", remark_tone))
        return
    yield line
    if said:
        indent = min(len(clock) + 15, width // 3)
        yield from wrapped(said, width, remark_tone, indent, indent)


def _ending(history: TaskHistory, width: int) -> Iterator[Line]:
    """Yield the result, or the error with its traceback."""
    final = history.final()
    if final is None:
        return
    context = final.event.context
    if final.event.name == names.SUCCEEDED:
        encoded = context.get("encoded")
        text = (
            shown(str(context.get("serializer")), encoded) if encoded else orjson.dumps(context.get("result")).decode()
        )
        yield from wrapped(f"result {printable(text[:CELL_CHARS_MAX])}", width, Tone.GOOD, 2)
        return
    yield from wrapped(f"error {printable(error_in(context))}", width, Tone.BAD, 2)
    exception = context.get("exception")
    trace = exception.get("traceback") if isinstance(exception, dict) else None
    for line in str(trace or "").splitlines():
        yield (Cell(f"  {printable(line)}", Tone.DIM),)
