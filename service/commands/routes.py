"""POST /commands, GET /commands, GET /commands/{command} and POST /commands/{command}/stop."""

import time
from typing import Annotated, Any, cast

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody, PathParameter

from ...tasks.answers.tasks import TaskLineAnswer, task_line
from ...tasks.labels import Labels
from ...tasks.state.state import TaskState
from ..answers import spoken
from ..backend import Backend, moment_of, past_of
from ..limits import (
    ACTS_MAX,
    ARGUMENT_CHARACTERS_MAX,
    COMMAND_RATE,
    COMMAND_RATE_MAX,
    COMMAND_SAMPLE,
    COMMAND_TASKS_MAX,
    LIST_EVENTS_MAX,
)
from ..problems import Problem
from ..tasks.filtering import TaskFilter
from ..tasks.paging import place_in, token_of
from ..tasks.parameters import (
    ACTING,
    LIMIT_DEFAULT,
    NO_REASON,
    READING,
    After,
    AnyRequest,
    AsOf,
    AtLeast,
    Limit,
    Reason,
    actor,
    filter_of,
)
from ..tasks.scanning import submissions_of
from .running import Commands, CommandsSeen
from .selecting import STATES, Choice, chosen
from .state import Action, CommandState

CommandId = Annotated[str, PathParameter(max_length=200, description="The id of a command.")]


class CommandFilter(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The filter of a command: that of `GET /tasks`, and `exception`, a text in the error of a dead letter.

    Times are absolute ones, or such as `10m`; `since` and `until` bound the submission, `failed_since` and
    `failed_until` the failure of a dead letter.
    """

    name: str | None = None
    queue: str | None = None
    state: Annotated[str, msgspec.Meta(pattern="^(ready|claimed|failed)$")] | None = None
    tag: str | None = None
    argument: Annotated[str, msgspec.Meta(max_length=ARGUMENT_CHARACTERS_MAX)] | None = None
    worker: str | None = None
    since: str | None = None
    until: str | None = None
    exception: str | None = None
    failed_since: str | None = None
    failed_until: str | None = None


class CommandRequest(Reason, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A command: an action on the tasks that match `filter`, on those in `tasks`, or on `all` that it can change.

    Requeue and purge act on dead letters, revoke on tasks that wait or run. It acts on at most `limit` tasks, `rate` of
    them a second. With `dry_run` nothing is changed: the answer counts the tasks, and shows the first ones.
    """

    action: Action
    filter: CommandFilter | None = None
    tasks: Annotated[list[str], msgspec.Meta(max_length=ACTS_MAX)] = msgspec.field(default_factory=list)
    all: bool = False
    rate: Annotated[float, msgspec.Meta(gt=0, le=COMMAND_RATE_MAX)] = COMMAND_RATE
    limit: Annotated[int, msgspec.Meta(ge=1, le=COMMAND_TASKS_MAX)] = COMMAND_TASKS_MAX
    dry_run: bool = False


class CommandAnswer(msgspec.Struct, frozen=True):
    """A command. `state` is running, stopping, done, stopped, interrupted, failed, or abandoned after a long silence.

    Of the `matched` tasks `done` were acted on; `changed` of them changed, and `in_vain` did not, as they had moved on.
    Times are seconds since the epoch.
    """

    command: str
    action: str
    state: str
    by: str
    reason: str | None
    filter: dict[str, Any]
    rate: float
    matched: int
    done: int
    changed: int
    in_vain: int
    started_at: float
    seen_at: float
    stopping_by: str | None
    error: str | None


class CommandList(msgspec.Struct, frozen=True):
    """The commands of the day before `as_of`, the one started last first; `next` is the cursor of the next page."""

    as_of: float
    commands: list[CommandAnswer]
    next: str | None = None


class DryRunAnswer(msgspec.Struct, frozen=True):
    """How many tasks the command would act on, and the first of them; `complete` is false if there may be more."""

    matched: int
    complete: bool
    sample: list[TaskLineAnswer]
    dry_run: bool = True


@post(
    "/commands",
    opt=ACTING,
    status_code=202,
    responses={200: ResponseSpec(DryRunAnswer, description="A dry run.", generate_examples=False)},
)
async def start_command(
    request: AnyRequest,
    backend: NamedDependency[Backend],
    commands: NamedDependency[Commands],
    data: JSONBody[CommandRequest],
    at_least: AtLeast = None,
) -> Response[CommandAnswer]:
    """Requeue, purge or revoke all tasks that match: one command, which goes on behind this request at its rate.

    The journal says who started it and why, how it progresses and how it ended; the events of the tasks name it.
    """
    await backend.reach(at_least)
    choice = _choice(data)
    if data.dry_run:
        return cast("Response[CommandAnswer]", spoken(await _dry_run(backend, choice, data.limit), backend.cursor))
    said = {"tasks": data.tasks} if data.tasks else _said(data.filter or CommandFilter(), choice)
    command = await commands.start(
        choice, said, rate=data.rate, limit=data.limit, by=actor(request), reason=data.reason
    )
    return spoken(_answer(await commands.find(command), time.time()), commands.cursor, 202)


@get("/commands", opt=READING)
async def list_commands(
    backend: NamedDependency[Backend],
    commands: NamedDependency[Commands],
    at_least: AtLeast = None,
    as_of: AsOf = None,
    cursor: After = None,
    limit: Limit = LIMIT_DEFAULT,
) -> Response[CommandList]:
    """List the commands of the last day, or of the day before a moment of the past, the one started last first."""
    seen = await _see(backend, commands, at_least, as_of)
    before = None if cursor is None else place_in(cursor, tuple[float, str])
    newest = sorted(seen.view.commands.values(), key=_place, reverse=True)
    found = [each for each in newest if before is None or _place(each) < before]
    following = token_of(_place(found[limit - 1])) if len(found) > limit else None
    return spoken(CommandList(seen.at, [_answer(each, seen.at) for each in found[:limit]], following), seen.cursor)


def _place(command: CommandState) -> tuple[float, str]:
    """Return the place of a command in the order in which they were started."""
    return command.started_at, command.command


@get("/commands/{command:str}", opt=READING)
async def show_command(
    backend: NamedDependency[Backend],
    commands: NamedDependency[Commands],
    command: CommandId,
    at_least: AtLeast = None,
    as_of: AsOf = None,
) -> Response[CommandAnswer]:
    """Show one command: how far it has come, or how it ended; or how far it had come at a moment of the past."""
    seen = await _see(backend, commands, at_least, as_of)
    return spoken(_answer(seen.find(command), seen.at), seen.cursor)


async def _see(backend: Backend, commands: Commands, at_least: str | None, as_of: str | None) -> CommandsSeen:
    await backend.reach(at_least)
    return await commands.see(None if as_of is None else past_of(as_of, "as_of", time.time()))


@post("/commands/{command:str}/stop", opt=ACTING, status_code=200)
async def stop_command(
    request: AnyRequest,
    commands: NamedDependency[Commands],
    command: CommandId,
    data: JSONBody[Reason | None] = None,
) -> Response[CommandAnswer]:
    """Stop a command, in whatever process of the service it runs; what it has done stays done."""
    stopped = await commands.stop(command, actor(request), (data or NO_REASON).reason)
    return spoken(_answer(stopped, time.time()), commands.cursor)


def _said(given: CommandFilter, choice: Choice) -> dict[str, Any]:
    """Return a filter as the journal keeps it, its moments in seconds since the epoch."""
    moments = {
        "since": choice.wanted.since,
        "until": choice.wanted.until,
        "failed_since": choice.failed_since,
        "failed_until": choice.failed_until,
    }
    return {**msgspec.to_builtins(given), **{name: at for name, at in moments.items() if at is not None}}


def _choice(said: CommandRequest) -> Choice:
    choice = Choice(said.action, TaskFilter(), ids=said.tasks)
    if said.filter is not None:
        fields, now = msgspec.structs.asdict(said.filter), time.time()
        error, begin, end = (fields.pop(name) or None for name in ("exception", "failed_since", "failed_until"))
        failed_since = None if begin is None else moment_of(begin, "failed_since", now)
        failed_until = None if end is None else moment_of(end, "failed_until", now)
        choice = Choice(said.action, filter_of(**fields), error, said.tasks, failed_since, failed_until)
    wanted = choice.wanted
    is_narrow = not (wanted.is_wide and wanted.state is None) or choice.is_of_dead_letters
    if bool(said.tasks) + is_narrow + said.all != 1:
        raise Problem(
            400, "vague-choice", "expected exactly one of the three: `filter` with a field, `tasks`, or `all`"
        )
    possible = STATES[said.action]
    if wanted.state is not None and wanted.state not in possible:
        names = " or ".join(sorted(each.name.lower() for each in possible))
        raise Problem(
            400, "bad-state", f"{said.action} acts on tasks that are {names}, not {wanted.state.name.lower()}"
        )
    if choice.is_of_dead_letters and said.action == "revoke":
        raise Problem(
            400,
            "bad-filter",
            "`exception` and the time of the failure choose dead letters",
        )
    return choice


async def _dry_run(backend: Backend, choice: Choice, limit: int) -> DryRunAnswer:
    """Count the tasks; where their submissions have to be read, at most about `LIST_EVENTS_MAX` of them."""
    matched, looked_at, sample, complete = 0, 0, list[TaskState](), True
    async for portion, count in chosen(backend, choice):
        sample += portion[: COMMAND_SAMPLE - len(sample)]
        matched, looked_at = matched + len(portion), looked_at + count
        if choice.wanted.reads_submissions and looked_at >= LIST_EVENTS_MAX:
            complete = False
            break
    lines = [task_line(task, Labels()) for task in sample]
    said = await submissions_of(await backend.journal.open(), sample)
    labelled = [
        line
        if line.task not in said
        else msgspec.structs.replace(line, summary=said[line.task].summary or None, tags=list(said[line.task].tags))
        for line in lines
    ]
    return DryRunAnswer(min(matched, limit), complete, labelled)


def _answer(found: CommandState, at: float) -> CommandAnswer:
    return CommandAnswer(
        command=found.command,
        action=found.action,
        state=found.state_at(at),
        by=found.by,
        reason=found.reason,
        filter=found.filter,
        rate=found.rate,
        matched=found.matched,
        done=found.progress.done,
        changed=found.progress.changed,
        in_vain=found.progress.in_vain,
        started_at=found.started_at,
        seen_at=found.seen_at,
        stopping_by=found.stopping_by,
        error=found.error,
    )
