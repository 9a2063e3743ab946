"""The routes of jobs: submitted, listed, claimed, shown and changed."""

from typing import Annotated, Any, Final

import msgspec
from litestar import Response, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import HeaderParameter, PathParameter, QueryParameter

from ...tasks.message import Message
from ...tasks.tracing import trace_in
from ..limits import TOPCHEF_DETAILED_JOBS, WAIT_SECONDS_MAX
from ..presence import while_present
from . import meta
from .addresses import AnyRequest
from .bodies import Claim, JobChange, NewJob, converted, json_in, read
from .described import ERRORS, NOTHING, READING, SUBMITTING, WORKING, with_body
from .errors import unknown, violated
from .jobs import PARAMETERS, JobDetail, KnownJob
from .parts import Answer, TopChef, number_in
from .service_routes import ServiceId

JobId = Annotated[str, PathParameter(description="The id of a job, a UUID.", max_length=200)]
Wait = Annotated[
    float, QueryParameter(ge=0, le=WAIT_SECONDS_MAX, description="Seconds to wait until the job has ended.")
]
Token = Annotated[
    str | None,
    HeaderParameter(name="X-Claim-Token", description="The token of a claim: the change counts only while it holds."),
]
_TAG: Final = "topchef"


class ClaimedJob(JobDetail, kw_only=True):
    """A job that a listener has claimed: it may be silent for `lease_ms`, and changes the job by its `token`."""

    token: int
    lease_ms: int


class JobClaimed(msgspec.Struct):
    """The job that a listener holds now; null if none came while it waited."""

    data: ClaimedJob | None


@get("/services/{service:str}/jobs", opt=READING, responses=ERRORS)
async def list_jobs_of_service(request: AnyRequest, topchef: NamedDependency[TopChef], service: ServiceId) -> Answer:
    """Describe the jobs of a service in the order of their submission; of many those that were submitted last."""
    found = topchef.registry.find(service)
    jobs = topchef.reader.of(found.queue, TOPCHEF_DETAILED_JOBS)
    schemas = meta.jobs_of_service(msgspec.json.decode(found.job_registration_schema))
    return topchef.answer(request, await topchef.reader.details(jobs), schemas)


@post("/services/{service:str}/jobs", opt=SUBMITTING, operation_class=with_body(meta.NEW_JOB), responses=ERRORS)
async def submit_job(request: AnyRequest, topchef: NamedDependency[TopChef], service: ServiceId) -> Answer:
    """Submit a job; 400 names every place at which its parameters do not fit the schema of the service."""
    found = topchef.registry.find(service)
    asked = await read(request, NewJob)
    violations = topchef.changes.schemas.violations(asked.parameters, found.job_registration_schema)
    if violations:
        raise violated("the object `parameters`", violations)
    message = Message(
        found.queue,
        found.queue,
        kwargs={PARAMETERS: asked.parameters},
        tags=(_TAG,),
        summary=f"job of {found.name}"[:200],
        named=True,
    )
    message.trace = trace_in(request.headers)
    event = await topchef.backend.broker.submit(message, new=True)
    await topchef.backend.applied(event)
    detail = await topchef.reader.detail(await topchef.reader.find(message.uuid))
    data = {**msgspec.to_builtins(detail), "message": "the job was submitted", "job_details": detail}
    url = topchef.addresses.job(request, detail.id)
    return topchef.answer(request, data, f"new job ID is {detail.id}", status=201, location=url)


@post(
    "/services/{service:str}/jobs/claim",
    opt=WORKING,
    status_code=200,
    operation_class=with_body(meta.CLAIM),
    responses=ERRORS,
)
async def claim_job(request: AnyRequest, topchef: NamedDependency[TopChef], service: ServiceId) -> Response[JobClaimed]:
    """Claim the next job for a listener, waiting for one: first in log order wins, and no other listener has it."""
    found = topchef.registry.find(service)
    asked = await read(request, Claim)
    task = None
    async with while_present(request):
        task = await topchef.listeners.claim(found, asked)
    if task is None:
        return Response(JobClaimed(None))
    token = task.claim
    session = topchef.backend.view.session(task.partition, task.worker)
    detail = await topchef.reader.detail(await topchef.reader.find(task.id))
    lease = asked.lease_ms if session is None else session.lease_ms
    return Response(JobClaimed(ClaimedJob(**msgspec.structs.asdict(detail), token=token, lease_ms=lease)))


@get("/jobs", opt=READING, responses=ERRORS, sync_to_thread=False)
def list_jobs(request: AnyRequest, topchef: NamedDependency[TopChef]) -> Answer:
    """List the jobs of all services, in the order of their submission."""
    return topchef.answer(request, [job.line() for job in topchef.reader.all()], meta.JOBS_META)


@get("/jobs/{job:str}", opt=READING, responses=ERRORS)
async def show_job(request: AnyRequest, topchef: NamedDependency[TopChef], job: JobId, wait: Wait = 0.0) -> Answer:
    """Show a job; with `wait` once it has ended, or the time is over."""
    job = job.lower()
    found = await topchef.reader.find(job)
    if wait and not found.is_over:
        await topchef.bells.wait(request, job, wait, lambda: _is_over(topchef, job))
        found = await topchef.reader.find(job)
    return topchef.answer(request, await topchef.reader.detail(found), meta.JOB_META)


def _is_over(topchef: TopChef, job: str) -> bool:
    known = topchef.reader.known(job)
    return known is None or known.is_over


@patch("/jobs/{job:str}", opt=WORKING, operation_class=with_body(meta.JOB_CHANGE), responses=ERRORS)
async def change_job(
    request: AnyRequest,
    topchef: NamedDependency[TopChef],
    job: JobId,
    token: Token = None,
) -> Response[JobDetail]:
    """Change a job's status, its results, or both; 409 if it has ended, or another listener holds it."""
    changed = await _changed(request, topchef, await topchef.reader.find(job.lower()))
    return Response(await topchef.reader.detail(changed))


@put("/jobs/{job:str}", opt=WORKING, operation_class=with_body(meta.OLDER_JOB), responses=ERRORS)
async def replace_job(request: AnyRequest, topchef: NamedDependency[TopChef], job: JobId) -> Answer:
    """Change a job by the whole of it, as GET has answered, with another status or result."""
    return await _replaced(request, topchef, await topchef.reader.find(job.lower()))


@put("/services/{service:str}/jobs/{job:str}", opt=WORKING, operation_class=with_body(meta.OLDER_JOB), responses=ERRORS)
async def replace_job_of_service(
    request: AnyRequest, topchef: NamedDependency[TopChef], service: ServiceId, job: JobId
) -> Answer:
    """Change a job of a service; see `/jobs`."""
    found, known = topchef.registry.find(service), await topchef.reader.find(job.lower())
    if known.service != found.id:
        raise unknown("job", job, is_id=True)
    return await _replaced(request, topchef, known)


async def _replaced(request: AnyRequest, topchef: TopChef, known: KnownJob) -> Answer:
    changed = await _changed(request, topchef, known)
    detail = await topchef.reader.detail(changed)
    data = {"message": "the job was changed", "job_schema": detail}
    return topchef.answer(request, data, meta.JOB_META, location=topchef.addresses.job(request, detail.id))


async def _changed(request: AnyRequest, topchef: TopChef, known: KnownJob) -> KnownJob:
    """Return a job as a request has changed it."""
    given: Any = await json_in(request)
    change, token = converted(given, JobChange), number_in(request, "x-claim-token")
    service = topchef.registry.get(known.service)
    if token is None and service is not None:
        await topchef.listeners.show_life(service, None, works=True)
    return await topchef.changes.apply(known, service, change, token)


@get("/jobs/{job:str}/next", opt=READING, responses={**ERRORS, 204: NOTHING}, status_code=302)
async def show_following(request: AnyRequest, topchef: NamedDependency[TopChef], job: JobId) -> Response[None]:
    """Lead to the job of the same service that was submitted next; 204 if there is none."""
    found = await topchef.reader.find(job.lower())
    following = topchef.backend.view.jobs.after(found.queue, found.place)
    if following is None:
        return Response(None, status_code=204)
    return Response(None, status_code=302, headers={"Location": topchef.addresses.job(request, following.id)})


JOB_ROUTES: Final = (
    list_jobs_of_service,
    submit_job,
    claim_job,
    list_jobs,
    show_job,
    change_job,
    replace_job,
    replace_job_of_service,
    show_following,
)
