"""`AsyncServiceListener`: runs the jobs of a service in an event loop."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from . import calls
from .errors import ProcessingError, ValidationError
from .exchange import Call, Pause, drive_async
from .limits import CHECK_IN_SECONDS_DEFAULT, LEASE_MS_DEFAULT, RECONNECT_SECONDS, REQUEST_SECONDS_DEFAULT
from .listener_base import ListenerBase
from .listening import FINAL, RENEWAL_FRACTION, Assignment, Check, Run, queued
from .transport import AsyncTransport
from .validator import Validator


class AsyncServiceListener(ListenerBase):
    """Runs the jobs of the service `service_id`, one after the other: subclass it, and implement `run`.

    `run` is a coroutine function, or a plain one, which runs in a thread. The parameters are those of
    `ServiceListener`; `async with listener:` runs jobs as long as the block lasts.
    """

    def __init__(
        self,
        address: str,
        service_id: str | UUID,
        timeout: float = CHECK_IN_SECONDS_DEFAULT,
        *,
        http_library: Any = None,
        api_key: str | None = None,
        request_timeout: float = REQUEST_SECONDS_DEFAULT,
        on_error: Callable[[Exception], None] | None = None,
        validator: Validator.AbstractValidator | None = None,
        lease_ms: int = LEASE_MS_DEFAULT,
    ) -> None:
        self._transport = _transport(address, http_library, api_key, request_timeout)
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        super().__init__(
            address,
            service_id,
            timeout,
            self._transport.server,
            lease_ms,
            validator,
            on_error,
            checks=type(self).validate_schema is not AsyncServiceListener.validate_schema,
            is_stopping=self._stopping.is_set,
        )

    @classmethod
    async def new_service(
        cls,
        address: str,
        name: str,
        description: str,
        job_registration_schema: Any,
        job_result_schema: Any = None,
        *,
        if_exists: str = "create",
        **options: Any,
    ) -> Self:
        """Register a service and return a listener of it; as `ServiceListener.new_service`."""
        library = _transport(
            address,
            options.pop("http_library", None),
            options.pop("api_key", None),
            options.get("request_timeout", REQUEST_SECONDS_DEFAULT),
        )
        definition = calls.definition(name, description, job_registration_schema, job_result_schema)
        id_ = await library.run(calls.new_service(definition, reuse=calls.is_reused(if_exists)))
        return cls(address, id_, http_library=library, **options)

    async def is_server_alive(self) -> bool:
        """Return whether the base URL answers 200."""
        return await self._transport.run(calls.is_alive())

    async def is_queue_empty(self) -> bool:
        """Return whether no job is in the queue of the service."""
        return not await self._transport.run(queued(self.id))

    async def check_in(self) -> None:
        """Say that the listener is there; `NetworkError` if that is not possible."""
        await self._transport.run(self._listening.check_in())
        self._reached()

    async def run_iteration(self) -> bool:
        """Run one job, if one waits, and return whether one did; errors as in `ServiceListener`."""
        return bool(await self._drive(self._listening.iterate()))

    async def validate_schema(self, instance: Any, schema: Any) -> None:
        """Compare an instance with a schema; `ValidationError` if it does not fit."""
        if self._validator is None:
            await self._transport.run(calls.validate(instance, schema))
        elif not self._validator.does_instance_match_schema(instance, schema):
            raise ValidationError("the instance does not match the schema")

    def start(self, should_poll: bool = True) -> Self:
        """Run jobs in a task of the running loop, until `stop`; another task checks in if `should_poll`."""
        loops = [self._listening_loop(), self._polling_loop()] if should_poll else [self._listening_loop()]
        self._tasks = [asyncio.create_task(loop) for loop in loops]
        for task in self._tasks:
            task.add_done_callback(lambda _: self._stopping.set())
        return self

    def stop(self) -> None:
        """Tell the tasks to end: the job in hand is run to its end and reported, no other one is begun."""
        self._stopping.set()

    async def join(self) -> None:
        """Wait for the end of the tasks; an error by which the listener has ended is raised."""
        if self._tasks:
            await asyncio.wait(self._tasks)
            for task in self._tasks:
                task.result()

    async def close(self) -> None:
        """Close the connections: after `run_iteration`, where no `async with` does it."""
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self if self._tasks else self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        try:
            await self.join()
        except asyncio.CancelledError:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            raise
        finally:
            await self.close()

    async def _listening_loop(self) -> None:
        await self._drive(self._listening.process())

    async def _polling_loop(self) -> None:
        while not self._stopping.is_set():
            try:
                await self.check_in()
            except FINAL:
                raise
            except Exception as error:
                self.on_error(error)
            await self._pause(self.timeout)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _drive(self, call: Call[Any]) -> Any:
        async def perform(step: Any) -> Any:
            if isinstance(step, Pause):
                return await self._pause(step.seconds)
            if isinstance(step, Check):
                return await self.validate_schema(step.instance, step.schema)
            if isinstance(step, Run):
                async with self._renewing(step.assignment):
                    return await self._run(step.assignment.parameters)
            return self._answered(await self._transport.perform(step))

        return await drive_async(call, perform)

    async def _run(self, parameters: Any) -> Any:
        if inspect.iscoroutinefunction(self.run):
            try:
                return await self.run(parameters)
            except asyncio.CancelledError as error:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                raise ProcessingError("run() has cancelled itself") from error
        return await asyncio.to_thread(self.run, parameters)

    @asynccontextmanager
    async def _renewing(self, assignment: Assignment) -> AsyncIterator[None]:
        """Renew the lease of a job in another task as long as the block runs."""
        if assignment.lease_ms is None:
            yield
            return
        task = asyncio.create_task(self._renew(assignment.lease_ms / 1_000 * RENEWAL_FRACTION))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _renew(self, interval: float) -> None:
        pause = interval
        while True:
            await asyncio.sleep(pause)
            try:
                await self.check_in()
                pause = interval
            except Exception as error:
                self._log(error)
                pause = min(interval, RECONNECT_SECONDS)


def _transport(address: str, library: Any, api_key: str | None, timeout: float) -> AsyncTransport:
    return library if isinstance(library, AsyncTransport) else AsyncTransport(address, library, api_key, timeout)
