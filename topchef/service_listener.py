"""`ServiceListener`: runs the jobs of a service, in a thread of the program that subclasses it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from . import calls
from .errors import NetworkError, ValidationError
from .exchange import Call, Pause, Request, drive
from .library import HTTPLibrary
from .limits import CHECK_IN_SECONDS_DEFAULT, LEASE_MS_DEFAULT, RECONNECT_SECONDS, REQUEST_SECONDS_DEFAULT
from .listener_base import LOG, ListenerBase
from .listener_job import ListenerJob
from .listening import FINAL, RENEWAL_FRACTION, Assignment, Check, Run, queued
from .transport import Transport
from .validator import Validator


class ServiceListener(ListenerBase):
    """Runs the jobs of the service `service_id`: subclass it, and implement `run`.

    - `timeout`: how often the service is checked in, in seconds.
    - `http_library`, `api_key`, `request_timeout`: as those of `Client`.
    - `on_error`: is called with each error with which the listener goes on: those of jobs and of the network. By
      default they are logged. An error that it raises itself ends the listener.
    - `validator`: compares parameters and results with the schemas, in addition to the server.
    - `lease_ms`: after so much silence, in ms, a server with claims gives the listener's job to another one. A thread
      renews the lease while `run` runs.

    Several listeners, in any processes, share the jobs of one service of ours. A server without claims, an original,
    has no means to divide them: there one service has one listener.
    """

    def __init__(
        self,
        address: str,
        service_id: str | UUID,
        timeout: float = CHECK_IN_SECONDS_DEFAULT,
        *,
        http_library: HTTPLibrary | Transport | None = None,
        api_key: str | None = None,
        request_timeout: float = REQUEST_SECONDS_DEFAULT,
        on_error: Callable[[Exception], None] | None = None,
        validator: Validator.AbstractValidator | None = None,
        lease_ms: int = LEASE_MS_DEFAULT,
    ) -> None:
        self._transport = _transport(address, http_library, api_key, request_timeout)
        self._stopping = threading.Event()
        self._ended_by: BaseException | None = None
        super().__init__(
            address,
            service_id,
            timeout,
            self._transport.server,
            lease_ms,
            validator,
            on_error,
            checks=type(self).validate_schema is not ServiceListener.validate_schema,
            is_stopping=self._stopping.is_set,
        )
        self.polling_thread = threading.Thread(target=self._ending(self._polling_loop), name="polling", daemon=True)
        self.processing_thread = threading.Thread(target=self._ending(self._processing_loop), name="jobs", daemon=True)

    @classmethod
    def new_service(
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
        """Register a service and return a listener of it.

        - `job_registration_schema`, `job_result_schema`: JSON schemas of parameters and of results; by default every
          object is a result. `ValidationError` if the server refuses one.
        - `if_exists`: `"return"` takes the service of that name with equal schemas, if there is one, so that a program
          can be started again, or several times.
        - `options`: those of the class.
        """
        library = _transport(
            address,
            options.pop("http_library", None),
            options.pop("api_key", None),
            options.get("request_timeout", REQUEST_SECONDS_DEFAULT),
        )
        definition = calls.definition(name, description, job_registration_schema, job_result_schema)
        id_ = library.run(calls.new_service(definition, reuse=calls.is_reused(if_exists)))
        return cls(address, id_, http_library=library, **options)

    @property
    def is_server_alive(self) -> bool:
        """Whether the base URL answers 200."""
        return self._transport.run(calls.is_alive())

    @property
    def job_registration_schema(self) -> Any:
        """The schema that the parameters of a job must fit."""
        return self._service_details["job_registration_schema"]

    @property
    def job_result_schema(self) -> Any:
        """The schema that the result of a job must fit."""
        return self._service_details["job_result_schema"]

    @property
    def is_queue_empty(self) -> bool:
        """Whether no job is in the queue of the service."""
        return not self._transport.run(queued(self.id))

    @property
    def current_job(self) -> ListenerJob:
        """The job at the head of the queue; `IndexError` if there is none."""
        return ListenerJob(self._transport, self._transport.run(calls.job_details(self._first_job_id_in_queue)))

    @classmethod
    def check_in_to_server(cls, address: str, service_id: str | UUID) -> None:
        """Say that a listener of a service is there; `NetworkError` if that is not possible."""
        transport = Transport(address)
        try:
            transport.run(calls.check_in(str(service_id)))
        finally:
            transport.close()

    def run_iteration(self) -> bool:
        """Run one job, if one waits, and return whether one did.

        What `run` raises is raised here, once the server knows the job as ERROR; parameters or a result that do not
        fit their schema raise `ProcessingError`.
        """
        return bool(self._drive(self._listening.iterate()))

    def validate_schema(self, instance: Any, schema: Any) -> None:
        """Compare an instance with a schema; `ValidationError` if it does not fit."""
        if self._validator is None:
            self._transport.run(calls.validate(instance, schema))
        elif not self._validator.does_instance_match_schema(instance, schema):
            raise ValidationError("the instance does not match the schema")

    def start(self, should_poll: bool = True) -> Self:
        """Run jobs in a thread, until `stop`, and return the listener; another thread checks in if `should_poll`."""
        if should_poll:
            self.polling_thread.start()
        self.processing_thread.start()
        return self

    def stop(self) -> None:
        """Tell the threads to end: the job in hand is run to its end and reported, no other one is begun."""
        self._stopping.set()

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the end of the threads, and return whether they have ended within `timeout` seconds.

        An error by which the listener has ended is raised here: an unknown service, a refused key, or what
        `on_error` has raised.
        """
        until = None if timeout is None else time.monotonic() + timeout
        for thread in (self.processing_thread, self.polling_thread):
            if thread.ident is not None:
                thread.join(None if until is None else max(0.0, until - time.monotonic()))
        if self._ended_by is not None:
            raise self._ended_by
        return not self.is_running

    @property
    def is_running(self) -> bool:
        """Whether a thread of the listener runs."""
        return self.processing_thread.is_alive() or self.polling_thread.is_alive()

    def close(self) -> None:
        """Close the connections; a listener that is no longer used does so by itself."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self if self.processing_thread.ident is not None else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self.join()
        self.close()

    @property
    def _service_details(self) -> dict[str, Any]:
        return self._transport.run(calls.service_details(self.id))

    @property
    def _first_job_id_in_queue(self) -> str:
        lines = self._transport.run(queued(self.id))
        if not lines:
            raise IndexError(f"the queue of the service {self.id} is empty")
        return str(lines[0]["id"])

    @staticmethod
    def _json_get(endpoint: str) -> Any:
        """Return the JSON at a URL; `NetworkError` for a status other than 200."""
        transport = Transport(endpoint)
        try:
            answer = transport.send(Request("GET", ""))
        finally:
            transport.close()
        if answer.status != 200:
            raise NetworkError(f"{endpoint} has answered {answer.status}", status=answer.status)
        return answer.body

    def _polling_loop(self) -> None:
        """Check in every `timeout` seconds until the listener ends."""
        while not self._stopping.is_set():
            self._try_check_in()
            self._stopping.wait(self.timeout)

    def _processing_loop(self) -> None:
        """Run jobs until the listener ends."""
        self._drive(self._listening.process())

    def _ending(self, loop: Callable[[], None]) -> Callable[[], None]:
        """Return a thread's work: the error by which a loop ends, ends the listener, and is kept for `join`."""

        def work() -> None:
            try:
                loop()
            except BaseException as error:
                self._ended_by = self._ended_by or error
                LOG.error("the listener of the service %s has ended: %s", self.id, error)
            finally:
                self._stopping.set()

        return work

    def _try_check_in(self) -> None:
        try:
            self._check_in(self._stopping.wait)
        except FINAL:
            raise
        except Exception as error:
            self.on_error(error)

    def _check_in(self, pause: Callable[[float], object]) -> None:
        self._transport.run(self._listening.check_in(), pause)
        self._reached()

    def _drive(self, call: Call[Any]) -> Any:
        def perform(step: Any) -> Any:
            if isinstance(step, Pause):
                return self._stopping.wait(step.seconds)
            if isinstance(step, Check):
                return self.validate_schema(step.instance, step.schema)
            if isinstance(step, Run):
                with self._renewing(step.assignment):
                    return self.run(step.assignment.parameters)
            return self._answered(self._transport.send(step))

        return drive(call, perform)

    @contextmanager
    def _renewing(self, assignment: Assignment) -> Iterator[None]:
        """Renew the lease of a job in another thread as long as the block runs."""
        if assignment.lease_ms is None:
            yield
            return
        over = threading.Event()
        interval = assignment.lease_ms / 1_000 * RENEWAL_FRACTION
        thread = threading.Thread(target=self._renew, args=(over, interval), daemon=True, name="lease")
        thread.start()
        try:
            yield
        finally:
            over.set()  # a renewal that is under way does no harm, and is not waited for

    def _renew(self, over: threading.Event, interval: float) -> None:
        pause = interval
        while not over.wait(pause):
            try:
                self._check_in(over.wait)
                pause = interval
            except Exception as error:
                self._log(error)
                pause = min(interval, RECONNECT_SECONDS)


def _transport(address: str, library: HTTPLibrary | Transport | None, api_key: str | None, timeout: float) -> Transport:
    return library if isinstance(library, Transport) else Transport(address, library, api_key, timeout)


_Job = ListenerJob
