"""Answers writes once the service's own view contains what was written, so that a caller reads its writes."""

from collections.abc import Awaitable
from typing import Protocol

from litestar import Response

from ...journal.event import Event
from ...tasks.answers.acts import ActAnswer, acted
from ...tasks.disposition import Disposition, Effect
from ..answers import problem_at, spoken
from ..backend import Backend
from .parameters import AnyRequest, actor, whole


async def read_back(backend: Backend, event: Event | None = None) -> None:
    """Wait until the view contains an event, or all that the log holds now; `Problem` 504 if that takes too long."""
    await (backend.caught_up() if event is None else backend.applied(event))


class Act(Protocol):
    """An act on one task, by its id, with the actor and the reason."""

    def __call__(self, message: str, *, by: str, reason: str | None) -> Awaitable[Effect]:
        """Carry it out, and return its effect."""
        ...


async def act_on(backend: Backend, request: AnyRequest, task: str, act: Act, reason: str | None) -> Response[ActAnswer]:
    """Carry out an act on the task that a request names, and answer with its effect once the view contains it."""
    task_id = await whole(backend, task)
    answer = await told(backend, task_id, act(task_id, by=actor(request), reason=reason))
    return spoken(answer, backend.cursor)


async def told(backend: Backend, task_id: str, act: Awaitable[Effect]) -> ActAnswer:
    """Carry out an act on a task and return its effect; without one, `Problem` 404 or 409 has the disposition."""
    effect = await act
    await read_back(backend, effect.event)
    answer = acted(task_id, effect)
    if effect:
        return answer
    unknown = effect.disposition is Disposition.UNKNOWN
    words = "is not known to the journal" if unknown else f"is {effect.disposition.value}; nothing was changed"
    if effect.disposition is Disposition.ALREADY_ENDED:
        words = "has ended already; nothing was changed"
    raise problem_at(
        backend.cursor,
        404 if unknown else 409,
        "unknown-task" if unknown else answer.disposition.replace("_", "-"),
        f"the task {task_id!r:.240} {words}",
        task=task_id,
        disposition=answer.disposition,
        position=list(answer.position),
    )
