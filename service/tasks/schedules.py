"""The schedules: GET /schedules, GET /ticks, and pausing, resuming and clearing one."""

from collections.abc import Callable
from itertools import islice
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter

from ...tasks.answers.schedules import (
    ScheduleAnswer,
    ScheduleChangeAnswer,
    ScheduleInFullAnswer,
    TickAnswer,
    schedule_answer,
    schedule_in_full,
    tick_answer,
)
from ...tasks.inspection.schedules import events_of, next_ticks
from ...tasks.scheduling import Changes, act_on_schedule, clearing, now_ms, pausing, resuming
from ...tasks.state.schedules import Schedule
from ..answers import spoken
from ..backend import Backend
from ..limits import STEPS_MAX, TICKS_MAX
from .paging import page_by_name
from .parameters import ACTING, LIMIT_DEFAULT, READING, After, AnyRequest, Limit, Reason, Seen, not_found, signature
from .writes import read_back

ScheduleName = Annotated[str, PathParameter(description="The name of a schedule.")]


class ScheduleList(msgspec.Struct, frozen=True):
    """The schedules by name; `next` is the cursor of the next page."""

    as_of: float
    schedules: list[ScheduleAnswer]
    next: str | None = None


class TickList(msgspec.Struct, frozen=True):
    """The next ticks of all schedules that are not paused, in their order."""

    ticks: list[TickAnswer]


class ScheduleAct(Reason, frozen=True, forbid_unknown_fields=True):
    """The reason of a change to a schedule; with `dry_run` nothing is appended."""

    dry_run: bool = False


@get("/schedules", opt=READING)
async def list_schedules(
    seen: NamedDependency[Seen], cursor: After = None, limit: Limit = LIMIT_DEFAULT
) -> Response[ScheduleList]:
    """List the schedules by name: what they submit, when each ticks next, and how often it was fired."""
    known = sorted(seen.view.schedules.values(), key=lambda schedule: schedule.name)
    page, following = page_by_name(known, lambda schedule: schedule.name, cursor, limit)
    told = [schedule_answer(each, int(seen.at * 1_000)) for each in page]
    return spoken(ScheduleList(seen.at, told, following), seen.cursor)


@get("/schedules/{schedule:str}", opt=READING)
async def show_schedule(
    backend: NamedDependency[Backend],
    seen: NamedDependency[Seen],
    schedule: ScheduleName,
    last: Annotated[int, QueryParameter(ge=0, le=STEPS_MAX, description="The number of its events to show.")] = 20,
) -> Response[ScheduleInFullAnswer]:
    """Show a schedule with its last events: what it has fired, skipped, and who has paused it."""
    known = _known(seen, schedule)
    until = seen.cursor if seen.is_past else None
    events = await events_of(backend.journal, known, last, until) if last else []
    return spoken(schedule_in_full(known, int(seen.at * 1_000), events), seen.cursor)


@get("/ticks", opt=READING)
async def list_ticks(
    seen: NamedDependency[Seen],
    schedule: Annotated[str | None, QueryParameter(description="Of this schedule only.")] = None,
    count: Annotated[int, QueryParameter(ge=1, le=TICKS_MAX, description="How many ticks to show.")] = 10,
) -> Response[TickList]:
    """Show the next ticks of all schedules that are not paused."""
    if schedule is not None:
        _known(seen, schedule)
    ticks = islice(next_ticks(seen.view.schedules, int(seen.at * 1_000), schedule), count)
    return spoken(TickList([tick_answer(tick) for tick in ticks]), seen.cursor)


@post("/schedules/{schedule:str}/pause", opt=ACTING, status_code=200)
async def pause_schedule(
    request: AnyRequest,
    backend: NamedDependency[Backend],
    schedule: ScheduleName,
    data: JSONBody[ScheduleAct | None] = None,
) -> Response[ScheduleChangeAnswer]:
    """Pause a schedule: it does not tick until it is resumed."""
    by = signature(request, data)
    return await _act(backend, schedule, data, lambda known: pausing(known, by), "paused")


@post("/schedules/{schedule:str}/resume", opt=ACTING, status_code=200)
async def resume_schedule(
    request: AnyRequest,
    backend: NamedDependency[Backend],
    schedule: ScheduleName,
    data: JSONBody[ScheduleAct | None] = None,
) -> Response[ScheduleChangeAnswer]:
    """Resume a paused schedule: it ticks again from now on; the ticks of the pause are left out."""
    by = signature(request, data)
    return await _act(backend, schedule, data, lambda known: resuming(known, now_ms(), by), "resumed")


@post("/schedules/{schedule:str}/clear", opt=ACTING, status_code=200)
async def clear_schedule(
    request: AnyRequest,
    backend: NamedDependency[Backend],
    schedule: ScheduleName,
    data: JSONBody[ScheduleAct | None] = None,
) -> Response[ScheduleChangeAnswer]:
    """Remove a schedule: no process fires it any more. The tasks of its earlier ticks go on."""
    by = signature(request, data)
    return await _act(backend, schedule, data, lambda known: clearing(known, by), "cleared")


async def _act(
    backend: Backend,
    name: str,
    said: ScheduleAct | None,
    act: Callable[[Schedule | None], Changes],
    done: str,
) -> Response[ScheduleChangeAnswer]:
    dry_run = said is not None and said.dry_run
    is_known, changed = await act_on_schedule(backend.journal, name, act, dry_run=dry_run)
    if not is_known:
        await read_back(backend)
        raise not_found("schedule", name, backend.cursor)
    await read_back(backend)
    word = done if changed and not dry_run else None
    return spoken(ScheduleChangeAnswer(name, is_known, changed, word, dry_run), backend.cursor)


def _known(seen: Seen, name: str) -> Schedule:
    found = seen.view.schedules.get(name)
    if found is None:
        raise not_found("schedule", name, seen.cursor)
    return found
