"""GET /services: the services whose listeners take jobs, now or as of a moment."""

from typing import Any

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency

from ...tasks.state.services import Service
from ..answers import spoken
from .paging import page_by_name
from .parameters import LIMIT_DEFAULT, READING, After, Limit, Seen


class ServiceLine(msgspec.Struct, frozen=True):
    """A service; its jobs are the tasks of `queue`. Times are seconds since the epoch, `timeout` is in seconds.

    `available` is what its listener says of itself. The schemas are JSON Schemas of parameters and results.
    """

    service: str
    name: str
    description: str
    queue: str
    available: bool
    registered_at: float
    checked_in_at: float
    timeout: float
    job_registration_schema: Any
    job_result_schema: Any


class ServiceList(msgspec.Struct, frozen=True):
    """The services by id; `next` is the cursor of the next page."""

    as_of: float
    services: list[ServiceLine]
    next: str | None = None


@get("/services", opt=READING)
async def list_services(
    seen: NamedDependency[Seen], cursor: After = None, limit: Limit = LIMIT_DEFAULT
) -> Response[ServiceList]:
    """List the services: what they take and return, and when their listeners have checked in last."""
    known = sorted(seen.view.services.values(), key=lambda service: service.id)
    page, following = page_by_name(known, lambda service: service.id, cursor, limit)
    return spoken(ServiceList(seen.at, [_line(each) for each in page], following), seen.cursor)


def _line(service: Service) -> ServiceLine:
    return ServiceLine(
        service=service.id,
        name=service.name,
        description=service.description,
        queue=service.queue,
        available=service.available,
        registered_at=service.registered_at,
        checked_in_at=service.checked_in_at,
        timeout=service.timeout,
        job_registration_schema=msgspec.Raw(service.job_registration_schema),
        job_result_schema=msgspec.Raw(service.job_result_schema),
    )
