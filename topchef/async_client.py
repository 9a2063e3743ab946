"""The client for coroutines: as `Client`, `Service` and `Job`, with methods that are awaited in place of properties."""

import time
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from . import calls
from .dialect import COMPLETED, ENDED, result_of, status_of
from .errors import ProcessingError, ServiceNotFoundError, ValidationError
from .limits import REQUEST_SECONDS_DEFAULT
from .transport import AsyncTransport, shown
from .validator import Validator


class AsyncJob:
    """A job as the program that has submitted it sees it. Each method asks the server."""

    def __init__(self, transport: AsyncTransport, job_id: str | UUID) -> None:
        self._transport = transport
        self.job_id = str(job_id)

    def __repr__(self) -> str:
        return f"AsyncJob({self.job_id!r})"

    @property
    def id(self) -> str:
        """The job's id."""
        return self.job_id

    async def details(self) -> dict[str, Any]:
        """Return what the server tells of the job; `JobNotFoundError` if it does not know it."""
        return await self._transport.run(calls.job_details(self.job_id))

    async def status(self) -> str:
        """Return REGISTERED, WORKING, COMPLETED or ERROR."""
        return status_of(await self.details())

    async def is_complete(self) -> bool:
        """Return whether the job has a result."""
        return await self.status() == COMPLETED

    async def has_ended(self) -> bool:
        """Return whether the job is COMPLETED or ERROR."""
        return await self.status() in ENDED

    async def result(self) -> Any:
        """Return the job's result; None, at an older server `{}`, while it has none."""
        return result_of(await self.details())

    async def set_result(self, new_result: Any) -> None:
        """Set the job's result."""
        call = calls.change_job(self._transport.server, self.job_id, calls.Change(result=new_result))
        await self._transport.run(call)

    async def wait(self, timeout: float | None = None) -> Any:
        """Return the job's result, waiting for it; as `Job.wait`."""
        return await self._transport.run(calls.wait_for_job(self.job_id, timeout, time.monotonic))


class AsyncService:
    """A service as the program that submits jobs to it sees it. `async for job in service` yields its jobs."""

    def __init__(self, transport: AsyncTransport, service_id: str | UUID) -> None:
        self._transport = transport
        self.service_id = str(service_id)

    def __repr__(self) -> str:
        return f"AsyncService({self.service_id!r})"

    @property
    def id(self) -> str:
        """The service's id."""
        return self.service_id

    async def exists(self) -> bool:
        """Return whether the server knows the service."""
        return await self._transport.run(calls.does_service_exist(self.service_id))

    async def details(self) -> dict[str, Any]:
        """Return what the server tells of the service; `ServiceNotFoundError` if it does not know it."""
        return await self._transport.run(calls.service_details(self.service_id))

    async def new_job(self, parameters: Any) -> AsyncJob:
        """Submit a job, and return it; `ProcessingError` if its parameters do not fit the service's schema."""
        return AsyncJob(self._transport, await self._transport.run(calls.new_job(self.service_id, parameters)))

    async def jobs(self) -> list[AsyncJob]:
        """Return the service's jobs, in the order in which the server lists them."""
        lines = await self._transport.run(calls.service_jobs(self.service_id))
        return [AsyncJob(self._transport, line["id"]) for line in lines]

    async def __aiter__(self) -> AsyncIterator[AsyncJob]:
        for job in await self.jobs():
            yield job


class AsyncServices:
    """The services of a server: `await services.get(id)`, `async for service in services`, `await services.count()`."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def get(self, service_id: str | UUID) -> AsyncService:
        """Return a service; `ServiceNotFoundError` if the server knows none of that id."""
        service = AsyncService(self._transport, service_id)
        if not await service.exists():
            raise ServiceNotFoundError(f"{shown(self._transport.url)} knows no service {service_id}", status=404)
        return service

    async def has(self, service_id: str | UUID) -> bool:
        """Return whether the server knows a service."""
        return await AsyncService(self._transport, service_id).exists()

    async def count(self) -> int:
        """Return how many services there are."""
        return len(await self._transport.run(calls.service_lines()))

    async def __aiter__(self) -> AsyncIterator[AsyncService]:
        for line in await self._transport.run(calls.service_lines()):
            yield AsyncService(self._transport, line["id"])


class AsyncValidator:
    """Validates instances against schemas, by the server, or by a validator that the caller gives."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def does_instance_match_schema(self, instance: Any, schema: Any) -> bool:
        """Return whether an instance matches a schema; `NetworkError` if the server cannot be asked."""
        try:
            await self._transport.run(calls.validate(instance, schema))
        except ValidationError:
            return False
        return True

    async def assert_instance_matches_schema(
        self, instance: Any, schema: Any, validator: Validator.AbstractValidator | None = None
    ) -> bool:
        """Return True if an instance matches a schema; `ProcessingError` if not."""
        if validator is not None:
            matches = validator.does_instance_match_schema(instance, schema)
        else:
            matches = await self.does_instance_match_schema(instance, schema)
        if not matches:
            raise ProcessingError("the instance does not match the schema")
        return True


class AsyncClient:
    """The TopChef server at `url`, for coroutines of one event loop; the parameters are those of `Client`.

    The functions of an `http_library` are awaited: `httpx.AsyncClient()` is one.
    """

    def __init__(
        self,
        url: str,
        http_library: Any = None,
        *,
        api_key: str | None = None,
        timeout: float = REQUEST_SECONDS_DEFAULT,
    ) -> None:
        self.url = url
        self.transport = AsyncTransport(url, http_library, api_key, timeout)

    def __repr__(self) -> str:
        return f"AsyncClient({shown(self.url)!r})"

    @property
    def http_library(self) -> Any:
        """The library that sends the requests."""
        return self.transport.library

    @property
    def services(self) -> AsyncServices:
        """The services of the server."""
        return AsyncServices(self.transport)

    @property
    def validator(self) -> AsyncValidator:
        """The validator of the server."""
        return AsyncValidator(self.transport)

    async def new_service(
        self,
        name: str,
        description: str,
        job_registration_schema: Any,
        job_result_schema: Any = None,
        *,
        if_exists: str = "create",
    ) -> AsyncService:
        """Register a service, and return it; see `ServiceListener.new_service`."""
        definition = calls.definition(name, description, job_registration_schema, job_result_schema)
        id_ = await self.transport.run(calls.new_service(definition, reuse=calls.is_reused(if_exists)))
        return AsyncService(self.transport, id_)

    async def close(self) -> None:
        """Close the connections."""
        await self.transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
