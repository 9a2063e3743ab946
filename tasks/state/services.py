"""The services whose listeners take jobs: a part of the state. Pure.

A service is a subject of its own: all its events have its id as their key, so the order of one partition decides. Its
jobs are tasks of the queue that is named after it; see `jobs`. The fold reads no clock: the process that is asked
decides by its own whether a service has timed out.

The moves, as a table of state × event:

| | `service.registered` | `service.changed` | `service.checked_in` |
|---|---|---|---|
| unknown | accepted: known | refused | refused |
| known | refused | accepted, and a sign of life | accepted: a sign of life |
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ...journal.row_decoder import Due
from ..limits import SERVICE_TIMEOUT_SECONDS_DEFAULT
from . import names
from .decoding import EventContext
from .part import Part
from .state import TaskState
from .verdict import Verdict


class ServiceContext(EventContext, gc=False):
    """The context of an event about a service; the fields that an event does not name stay as they are.

    `timeout` is in seconds.
    """

    service: str = ""
    name: str | None = None
    description: str | None = None
    job_registration_schema: msgspec.Raw = msgspec.Raw(b"{}")
    job_result_schema: msgspec.Raw = msgspec.Raw(b"{}")
    timeout: Due | None = None
    available: bool | None = None


class Service(msgspec.Struct, array_like=True):
    """One service.

    - `registered_at` and `checked_in_at` are times in seconds since the epoch, `timeout` is in seconds.
    - `job_registration_schema` and `job_result_schema` are encoded JSON Schemas: of the parameters of its jobs, and of
      their results.
    - `available` is what its listener says of itself; nothing is decided by it.
    - `changed` is the offset of its last accepted event, in `partition`.
    """

    id: str
    partition: int
    registered_at: float
    name: str
    description: str
    job_registration_schema: bytes
    job_result_schema: bytes
    checked_in_at: float
    changed: int
    timeout: float = SERVICE_TIMEOUT_SECONDS_DEFAULT
    available: bool = True

    @property
    def queue(self) -> str:
        """The queue of its jobs, which is also the name of their task."""
        return queue_of(self.id)


_decoder: Final = msgspec.msgpack.Decoder(list[Service])


def queue_of(service_id: str) -> str:
    """Return the queue of a service's jobs."""
    return names.JOB_QUEUE_PREFIX + service_id


class Services(Part[str, Service, ServiceContext]):
    """The services, by id, in the order of their registration."""

    name = "services"
    events = names.SERVICE_EVENTS
    context = ServiceContext

    def apply(self, name: str, context: ServiceContext, partition: int, offset: int, timestamp: float) -> Verdict:
        """See `Part.apply`, and the table above."""
        if not context.service:
            return Verdict.FOREIGN
        service = self.get(context.service)
        if name == names.SERVICE_REGISTERED:
            if service is not None:
                return Verdict.REFUSED
            return self._register(context, partition, offset, timestamp)
        if service is None or service.partition != partition:
            return Verdict.REFUSED
        if name == names.SERVICE_CHANGED:
            _change(service, context)
        service.checked_in_at, service.changed = timestamp, offset
        return self.changed()

    def _register(self, context: ServiceContext, partition: int, offset: int, timestamp: float) -> Verdict:
        service = Service(
            context.service,
            partition,
            timestamp,
            "",
            "",
            bytes(context.job_registration_schema),
            bytes(context.job_result_schema),
            timestamp,
            offset,
        )
        _change(service, context)
        self[service.id] = service
        return self.changed()

    def dump(self) -> Any:
        """See `Part.dump`."""
        return list(self.values())

    def load(self, state: msgspec.Raw, live: Mapping[str, TaskState]) -> Mapping[str, Service]:
        """See `Part.load`."""
        return {service.id: service for service in _decoder.decode(state)}


def _change(service: Service, context: ServiceContext) -> None:
    """Set the fields that an event names."""
    if context.name is not None:
        service.name = context.name
    if context.description is not None:
        service.description = context.description
    if context.timeout is not None:
        service.timeout = context.timeout
    if context.available is not None:
        service.available = context.available
