"""POST /tasks: submit one message, or many in as few appends as the limits allow."""

import uuid
from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import HeaderParameter, JSONBody

from ...journal.cursor import Position
from ...tasks.answers.acts import SubmissionAnswer, submitted
from ...tasks.chains import attach
from ...tasks.errors import MessageAlreadyExistsError
from ...tasks.limits import CHAIN_LINKS_MAX, MAX_RETRIES_DEFAULT
from ...tasks.lookup import task_lookup
from ...tasks.message import Message, new_id
from ...tasks.stored_message import stored_message
from ...tasks.time_to_live import set_ttl
from ...tasks.tracing import trace_in
from ..answers import problem_at, spoken
from ..backend import Backend
from ..keys import Scope
from ..limits import IDEMPOTENCY_KEY_CHARACTERS_MAX, SUBMISSIONS_MAX
from ..problems import Problem, kind_of
from .parameters import AnyRequest, actor
from .writes import read_back

# The names of the ids that follow from an `Idempotency-Key`.
_SPACE: Final = uuid.UUID("5c1d1cbd-0d9c-5b0e-9c63-3f0a0ad3b0a1")

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        max_length=IDEMPOTENCY_KEY_CHARACTERS_MAX,
        description="Repeated with the same key, the request submits nothing twice and gets the same answer.",
    ),
]


class LinkSubmission(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A message that runs after another one has succeeded; the fields are those of a `Message`, durations in ms.

    `task_name` is the name by which workers know the task. `max_retries` null means without end.
    """

    task_name: str
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    queue: str | None = None
    priority: int = 0
    delay: int = 0
    max_retries: int | None = MAX_RETRIES_DEFAULT
    timeout: int | None = None
    result_ttl: int | None = None
    summary: str = ""
    tags: list[str] = []
    metadata: dict[str, Any] | None = None
    backoff_settings: dict[str, Any] | None = None
    mechanism: str | None = None
    function: str = ""


class TaskSubmission(LinkSubmission, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A message to be submitted. `uuid` is its id, by default a new one; 409 if the journal has a task with that id.

    `ttl`: if no worker has begun it so many ms from now, it lapses. `callback`: messages that run after it, one after
    the other, each given the result of the one before.
    """

    uuid: str | None = None
    ttl: int | None = None
    callback: Annotated[list[LinkSubmission], msgspec.Meta(max_length=CHAIN_LINKS_MAX)] = msgspec.field(
        default_factory=list
    )


class Submitted(msgspec.Struct, frozen=True):
    """The tasks that were submitted, in the order of the request."""

    tasks: list[str]


Submissions = Annotated[list[TaskSubmission], msgspec.Meta(max_length=SUBMISSIONS_MAX)]


@post("/tasks", opt={"scope": Scope.SUBMIT, "problems": (409,)})
async def submit_tasks(
    request: AnyRequest,
    backend: NamedDependency[Backend],
    data: JSONBody[TaskSubmission | Submissions],
    idempotency_key: IdempotencyKey = None,
) -> Response[SubmissionAnswer | Submitted]:
    """Submit a task, or an array of tasks: when the answer comes, they are in the journal and cannot be lost.

    Of an array the tasks whose ids the journal knows are refused and the others accepted: 409 names both.
    """
    given = [data] if isinstance(data, TaskSubmission) else data
    ids = _ids(given, None if idempotency_key is None else f"{actor(request)}/{idempotency_key}")
    messages = [_message(each, task_id) for each, task_id in zip(given, ids, strict=True)]
    for message in messages:
        message.trace = trace_in(request.headers)
    is_new = idempotency_key is None and all(each.uuid is None for each in given)
    if isinstance(data, TaskSubmission):
        answer = await _submit(backend, messages[0], new=is_new, repeatable=idempotency_key is not None)
        return spoken(answer, backend.cursor, 201)
    await _submit_all(backend, messages, new=is_new, repeatable=idempotency_key is not None)
    return spoken(Submitted(ids), backend.cursor, 201)


def _ids(given: Sequence[TaskSubmission], key: str | None) -> list[str]:
    """Return the id of each submission; with an idempotency key those that follow from it."""
    if key is None:
        return [each.uuid or new_id() for each in given]
    if any(each.uuid is not None for each in given):
        raise Problem(
            400, "bad-request", "Idempotency-Key and uuid exclude each other: an id of your own is such a key itself"
        )
    return [str(uuid.uuid5(_SPACE, f"{key}/{number}")) for number in range(len(given))]


def _message(said: TaskSubmission, task_id: str) -> Message:
    message = Message(**_fields(said), uuid=task_id)
    if said.callback:
        attach(message, [Message(**_fields(link)) for link in said.callback])
    if said.ttl is not None:
        set_ttl(message, said.ttl)
    return message


def _fields(said: LinkSubmission) -> dict[str, Any]:
    """Return the fields of a message, without what only a submission has; None stands for the default of each."""
    return {name: getattr(said, name) for name in LinkSubmission.__struct_fields__}


async def _submit(backend: Backend, message: Message, *, new: bool, repeatable: bool) -> SubmissionAnswer:
    try:
        event = await backend.broker.submit(message, new=new)
    except MessageAlreadyExistsError as error:
        if not repeatable:
            await read_back(backend)
            raise problem_at(backend.cursor, 409, kind_of(error), str(error)) from None
        return submitted(message, await _earlier(backend, message))
    await read_back(backend, event)
    return submitted(message, event.position)


async def _submit_all(backend: Backend, messages: Sequence[Message], *, new: bool, repeatable: bool) -> None:
    refused: MessageAlreadyExistsError | None = None
    try:
        await backend.broker.submit_all(messages, new=new)
    except MessageAlreadyExistsError as error:
        refused = error
    await read_back(backend)
    if refused is None:
        return
    if repeatable:
        known = set(refused.refused)
        for message in messages:
            if message.uuid in known:
                await _earlier(backend, message)
        return
    raise problem_at(
        backend.cursor,
        409,
        kind_of(refused),
        str(refused),
        refused=list(refused.refused),
        accepted=list(refused.accepted),
    )


async def _earlier(backend: Backend, message: Message) -> Position:
    """Return where the same message was submitted before; `Problem` 409 if its key belongs to another message."""
    found = await task_lookup(backend.journal).find(message.uuid)
    before = stored_message(found)
    if found.task is None or before is None:
        raise Problem(409, "idempotency-key-used", "what was submitted with this Idempotency-Key is not known any more")
    if (before.task_name, before.queue, list(before.args), before.kwargs) != (
        message.task_name,
        message.queue,
        list(message.args),
        message.kwargs,
    ):
        raise Problem(
            409,
            "idempotency-key-used",
            "this Idempotency-Key belongs to another message: make a new one for each",
        )
    return Position(found.task.partition, found.task.submitted)
