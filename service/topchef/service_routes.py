"""The routes of services: registered, shown, changed and checked in; their queues."""

from typing import Annotated, Any, Final

import msgspec
from litestar import Response, get, patch, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, PathParameter, QueryParameter

from ...tasks.state.services import Service
from ...tasks.state.state import TaskState
from ...tasks.state.transitions import State
from ..limits import (
    TOPCHEF_LISTENER_CHARS_MAX,
    TOPCHEF_QUEUE_JOBS,
    TOPCHEF_QUEUE_SECONDS,
)
from . import meta
from .addresses import AnyRequest, iso
from .bodies import NewService, ServiceChange, converted, json_in, read
from .described import ERRORS, NOTHING, READING, WORKING, with_body
from .errors import refused
from .jobs import JobReader
from .parts import Answer, Envelope, TopChef

ServiceId = Annotated[str, PathParameter(description="The id of a service, a UUID.", max_length=200)]
Listener = Annotated[
    str | None,
    HeaderParameter(
        name="X-Listener",
        max_length=TOPCHEF_LISTENER_CHARS_MAX,
        description="The listener that asks, by the id that it claims jobs with: its lease is renewed, too.",
    ),
]
QueueWait = Annotated[
    float,
    QueryParameter(ge=0, le=TOPCHEF_QUEUE_SECONDS, description="Seconds to wait for a job while the queue is empty."),
]


class CheckedIn(msgspec.Struct):
    """The answer to a check-in, in the words of both dialects."""

    data: str
    meta: str


@get("/", opt=READING, responses=ERRORS, sync_to_thread=False)
def show_api(request: AnyRequest, topchef: NamedDependency[TopChef]) -> Answer:
    """Say what this API is."""
    return topchef.answer(request, meta.API_DATA, meta.API_META)


@get("/services", opt=READING, responses=ERRORS, sync_to_thread=False)
def list_services(request: AnyRequest, topchef: NamedDependency[TopChef]) -> Answer:
    """List the services, in the order of their registration."""
    lines = [
        topchef.registry.line(each, topchef.addresses.service(request, each.id)) for each in topchef.registry.all()
    ]
    return topchef.answer(request, lines, meta.SERVICES_META)


@post(
    "/services",
    opt=WORKING,
    operation_class=with_body(meta.NEW_SERVICE),
    responses={
        **ERRORS,
        200: ResponseSpec(Envelope, description="There was such a service.", generate_examples=False),
    },
)
async def register_service(
    request: AnyRequest,
    topchef: NamedDependency[TopChef],
    if_exists: Annotated[
        str | None,
        HeaderParameter(name="X-If-Exists", description="`return`: a service of that name and schemas is returned."),
    ] = None,
) -> Answer:
    """Register a service with the schemas of its jobs and their results; its queue is there at once."""
    if if_exists not in (None, "return"):
        raise refused("bad-request", f"expected as X-If-Exists `return`, got {if_exists!r:.50}")
    asked = await read(request, NewService)
    service, is_new = await topchef.registry.register(asked, once=if_exists is not None)
    url = topchef.addresses.service(request, service.id)
    said = "service successfully created" if is_new else "the service was there already"
    detail = topchef.registry.detail(service, url)
    data = {"message": said, "id": service.id, "service_details": detail}
    return topchef.answer(request, data, meta.SERVICES_META, status=201 if is_new else 200, location=url)


@get("/services/{service:str}", opt=READING, responses=ERRORS, sync_to_thread=False)
def show_service(request: AnyRequest, topchef: NamedDependency[TopChef], service: ServiceId) -> Answer:
    """Show a service: its schemas, whether its listener is there, and its jobs."""
    found = topchef.registry.find(service)
    url = topchef.addresses.service(request, found.id)
    return topchef.answer(request, topchef.registry.detail(found, url), meta.SERVICE_META)


@patch(
    "/services/{service:str}",
    opt=WORKING,
    operation_class=with_body(meta.SERVICE_CHANGE, required=False),
    responses=ERRORS,
)
async def change_service(
    request: AnyRequest, topchef: NamedDependency[TopChef], service: ServiceId, listener: Listener = None
) -> Response[CheckedIn | Envelope]:
    """Check in, without a body or with one that is no JSON; or change a service, which is a check-in as well."""
    found = topchef.registry.find(service)
    await topchef.listeners.show_life(found, listener, works=False)
    try:
        given: Any = await json_in(request)
    except Exception as error:
        if getattr(error, "kind", "") != "request-not-json":
            raise
        at = iso(await topchef.registry.check_in(found))
        said = CheckedIn(f"service {found.id} checked in at {at}", f"Service checked in at {at}")
        return Response(said)
    found = await topchef.registry.change(found, converted(given, ServiceChange))
    url = topchef.addresses.service(request, found.id)
    answer: Response[Any] = topchef.answer(request, topchef.registry.detail(found, url), meta.SERVICE_META)
    return answer


@get("/services/{service:str}/queue", opt=READING, responses=ERRORS)
async def show_queue(
    request: AnyRequest,
    topchef: NamedDependency[TopChef],
    service: ServiceId,
    wait: QueueWait = TOPCHEF_QUEUE_SECONDS,
) -> Answer:
    """Show the jobs at the head of a queue, the oldest first; one that is worked on stays there until it has ended.

    While the queue is empty the answer waits a moment for a job. Jobs that listeners hold by a token are left out.
    """
    found = topchef.registry.find(service)
    reader, queue = topchef.reader, found.queue
    if _waiting(topchef, found):
        await topchef.listeners.show_life(found, None, works=True)
    else:
        await topchef.bells.wait(request, queue, wait, lambda: bool(_waiting(topchef, found)))
    jobs = _waiting(topchef, found)
    details = await reader.details([job for task in jobs if (job := reader.known(task.id)) is not None])
    return topchef.answer(request, details, meta.QUEUE_META)


def _waiting(topchef: TopChef, service: Service) -> list[TaskState]:
    """Return the jobs at the head of a queue: those that wait, and those that the service holds for its listener."""
    found: list[TaskState] = []
    for task in topchef.reader.unfinished(service.queue):
        if _may_wait(topchef, task) or (task.state is State.CLAIMED and topchef.listeners.is_ours(task)):
            found.append(task)
            if len(found) == TOPCHEF_QUEUE_JOBS:
                break
    return found


def _may_wait(topchef: TopChef, task: TaskState) -> bool:
    return task.state is State.READY and not topchef.backend.view.is_paused(task.partition, task.queue)


@get("/services/{service:str}/jobs/next", opt=READING, responses={**ERRORS, 204: NOTHING})
async def show_next(
    request: AnyRequest, topchef: NamedDependency[TopChef], service: ServiceId
) -> Response[Envelope | None]:
    """Show the oldest job that waits; 204 if none does."""
    found = topchef.registry.find(service)
    reader: JobReader = topchef.reader
    for task in reader.unfinished(found.queue):
        if _may_wait(topchef, task) and (job := reader.known(task.id)) is not None:
            answer: Response[Any] = topchef.answer(request, await reader.detail(job), meta.NEXT_META)
            return answer
    return Response(None, status_code=204)


SERVICE_ROUTES: Final = (
    show_api,
    list_services,
    register_service,
    show_service,
    change_service,
    show_queue,
    show_next,
)
