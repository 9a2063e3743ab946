"""Services: registered, changed, checked in; each by an event that all processes of the service see."""

import time
import uuid
from collections.abc import Iterable
from typing import Any, Final

import msgspec
import orjson

from ...journal.event import Draft
from ...tasks.message import new_id
from ...tasks.state import names
from ...tasks.state.services import Service
from ..backend import Backend
from ..limits import TOPCHEF_CHECK_IN_SECONDS, TOPCHEF_GRACE
from ..remote.appending import append_and_apply
from .addresses import is_uuid, iso
from .bodies import NewService, ServiceChange
from .errors import unknown, violated
from .jobs import JobLine, JobReader
from .schemas import BadSchema, Schemas, encoded

# The ids of services of which there is to be one by their name and schemas follow from these.
_SPACE: Final = uuid.UUID("7d0d7b42-2f64-5d0f-9b4b-6f1d6c0f7c11")


class ServiceLine(msgspec.Struct, kw_only=True):
    """A service in a list."""

    id: str
    name: str
    description: str
    url: str
    has_timed_out: bool
    is_service_available: bool


class ServiceDetail(msgspec.Struct, kw_only=True):
    """A service: the schemas of its jobs' parameters and results, what is known of its listener, and its jobs.

    `timeout` is in seconds; a service has timed out when its listener was silent for twice as long.
    """

    id: str
    name: str
    description: str
    url: str
    job_registration_schema: Any
    job_result_schema: Any
    is_service_available: bool
    has_timed_out: bool
    timeout: int
    last_checked_in: str
    date_registered: str
    jobs: list[JobLine]


class Registry:
    """The services of the journal."""

    def __init__(self, backend: Backend, schemas: Schemas, reader: JobReader) -> None:
        self._backend = backend
        self._schemas = schemas
        self._reader = reader

    def all(self) -> Iterable[Service]:
        """Return the services in the order of their registration."""
        return sorted(self._backend.view.services.values(), key=lambda service: (service.registered_at, service.id))

    def find(self, service: str) -> Service:
        """Return a service; `Problem` 404 if there is none of that id."""
        found = self._backend.view.services.get(service.lower())
        if found is None:
            raise unknown("service", service, is_id=is_uuid(service))
        return found

    def get(self, service: str) -> Service | None:
        """Return a service, or None."""
        return self._backend.view.services.get(service)

    async def register(self, asked: NewService, *, once: bool) -> tuple[Service, bool]:
        """Register a service, and return it and whether it is new.

        `once`: a service of that name and these schemas is returned if there is one, however many callers ask at the
        same time. `Problem` 400 for a bad schema, with the place in it.
        """
        registration = self._schema(asked.job_registration_schema, "job_registration_schema")
        result = self._schema(asked.job_result_schema, "job_result_schema")
        identity = new_id()
        if once:
            wanted = asked.name, registration, result
            for service in self.all():
                if wanted == (service.name, service.job_registration_schema, service.job_result_schema):
                    return service, False
            made = str(uuid.uuid5(_SPACE, b"\0".join((asked.name.encode(), registration, result)).hex()))
            if made not in self._backend.view.services:  # or it has another name by now
                identity = made
        context = {
            "service": identity,
            "name": asked.name,
            "description": asked.description,
            "job_registration_schema": orjson.Fragment(registration),
            "job_result_schema": orjson.Fragment(result),
        }
        event = (await self._append(names.SERVICE_REGISTERED, identity, context))[0]
        service = self._backend.view.services[identity]
        return service, service.changed == event.offset

    def _schema(self, schema: Any, field: str) -> bytes:
        try:
            self._schemas.check(schema)
            return encoded(schema)
        except BadSchema as error:
            raise violated(f"{field} is no JSON Schema: it", [error.violation], "bad-schema") from None

    async def change(self, service: Service, asked: ServiceChange) -> Service:
        """Change a service; that is a sign of life of it as well."""
        available = asked.is_available if asked.is_available is not None else asked.is_service_available
        fields = {
            "name": asked.name,
            "description": asked.description,
            "timeout": asked.timeout,
            "available": available,
        }
        given = {name: value for name, value in fields.items() if value is not None}
        if not given:
            await self.check_in(service)
            return service
        await self._append(names.SERVICE_CHANGED, service.id, {"service": service.id, **given})
        return self.find(service.id)

    async def check_in(self, service: Service) -> float:
        """Note a sign of life, unless there was one just now; return when it came, in seconds since the epoch."""
        since = time.time() - service.checked_in_at
        if not 0 <= since < TOPCHEF_CHECK_IN_SECONDS:
            await self._append(names.SERVICE_CHECKED_IN, service.id, {"service": service.id})
        return self.find(service.id).checked_in_at

    async def _append(self, name: str, service: str, context: dict[str, Any]) -> list[Any]:
        return await append_and_apply(self._backend, [Draft(name, orjson.dumps(context), service)])

    # -- told ----------------------------------------------------------------------------------------------------------

    def line(self, service: Service, url: str) -> ServiceLine:
        """Return a service as a line of a list."""
        return ServiceLine(
            id=service.id,
            name=service.name,
            description=service.description,
            url=url,
            has_timed_out=has_timed_out(service),
            is_service_available=service.available,
        )

    def detail(self, service: Service, url: str) -> ServiceDetail:
        """Describe a service."""
        return ServiceDetail(
            id=service.id,
            name=service.name,
            description=service.description,
            url=url,
            job_registration_schema=msgspec.json.decode(service.job_registration_schema),
            job_result_schema=msgspec.json.decode(service.job_result_schema),
            is_service_available=service.available,
            has_timed_out=has_timed_out(service),
            timeout=round(service.timeout),
            last_checked_in=iso(service.checked_in_at),
            date_registered=iso(service.registered_at),
            jobs=[job.line() for job in self._reader.of(service.queue)],
        )


def has_timed_out(service: Service) -> bool:
    """Return whether a service's listener was silent for longer than the time-out with its grace, by the clock here."""
    return time.time() - service.checked_in_at > TOPCHEF_GRACE * service.timeout
