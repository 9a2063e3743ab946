"""Acts on one task by its id: POST /tasks/{task}/revoke, /requeue, /ack, /fail and /retry."""

from functools import partial

from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from ...tasks.answers.acts import ActAnswer
from ..backend import Backend
from .parameters import ACTING, NO_REASON, AnyRequest, Reason, TaskId
from .writes import act_on


class Revocation(Reason, frozen=True, forbid_unknown_fields=True):
    """The reason of a revocation; with `skip_if_running` a claimed task is left alone, and the answer is "running"."""

    skip_if_running: bool = False


class HandOutcome(Reason, frozen=True, forbid_unknown_fields=True):
    """The reason of an outcome by hand; with `claim`, a fencing token, it counts only while that claim is current."""

    claim: int | None = None


_NOTHING_SAID = HandOutcome()


@post("/tasks/{task:str}/revoke", opt=ACTING, status_code=200)
async def revoke_task(
    request: AnyRequest, backend: NamedDependency[Backend], task: TaskId, data: JSONBody[Revocation | None] = None
) -> Response[ActAnswer]:
    """Take a task out of the queue, whether it waits or runs: a late outcome of it is refused."""
    said = data or Revocation()
    act = partial(backend.broker.revoke, skip_if_running=said.skip_if_running)
    return await act_on(backend, request, task, act, said.reason)


@post("/tasks/{task:str}/requeue", opt=ACTING, status_code=200)
async def requeue_task(
    request: AnyRequest, backend: NamedDependency[Backend], task: TaskId, data: JSONBody[Reason | None] = None
) -> Response[ActAnswer]:
    """Let a dead letter run again, its attempts forgotten."""
    return await act_on(backend, request, task, backend.broker.requeue, (data or NO_REASON).reason)


@post("/tasks/{task:str}/ack", opt=ACTING, status_code=200)
async def acknowledge_task(
    request: AnyRequest, backend: NamedDependency[Backend], task: TaskId, data: JSONBody[HandOutcome | None] = None
) -> Response[ActAnswer]:
    """End a task that waits or runs as done, without a result; a late outcome of it is refused."""
    said = data or _NOTHING_SAID
    return await act_on(backend, request, task, partial(backend.broker.ack, claim=said.claim), said.reason)


@post("/tasks/{task:str}/fail", opt=ACTING, status_code=200)
async def fail_task(
    request: AnyRequest, backend: NamedDependency[Backend], task: TaskId, data: JSONBody[HandOutcome | None] = None
) -> Response[ActAnswer]:
    """End a task that waits or runs as a dead letter."""
    said = data or _NOTHING_SAID
    return await act_on(backend, request, task, partial(backend.broker.fail, claim=said.claim), said.reason)


@post("/tasks/{task:str}/retry", opt=ACTING, status_code=200)
async def retry_task(
    request: AnyRequest, backend: NamedDependency[Backend], task: TaskId, data: JSONBody[HandOutcome | None] = None
) -> Response[ActAnswer]:
    """Count an attempt of a task that waits or runs, and have it wait for its backoff."""
    said = data or _NOTHING_SAID
    return await act_on(backend, request, task, partial(backend.broker.retry, claim=said.claim), said.reason)
