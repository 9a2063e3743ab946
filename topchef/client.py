"""`Client`: the services of one server."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from . import calls
from .errors import ServiceNotFoundError
from .library import HTTPLibrary
from .limits import REQUEST_SECONDS_DEFAULT
from .service import Service
from .transport import JSON_HEADER, Transport, shown


class Client:
    """The TopChef server at `url`.

    - `http_library`: sends the requests: a module or session with `get`, `post`, `patch` and `put`, such as `requests`;
      by default httpx2, with connections that stay open.
    - `api_key`: sent as `Authorization: Bearer …`; by default that in the environment variable `TOPCHEF_API_KEY`.
    - `timeout`: how long a request may take, in seconds.
    """

    class AbstractServicesGetter(ABC):
        """The services of a server, by their ids: as a dictionary, but iteration yields the services."""

        @abstractmethod
        def __getitem__(self, service_uuid: str | UUID) -> Service:
            """Return a service; `ServiceNotFoundError`, a `KeyError`, if the server knows none of that id."""

        @abstractmethod
        def __iter__(self) -> Iterator[Service]:
            """Iterate over the services."""

    class _TopChefServicesGetter(AbstractServicesGetter):
        """Asks the server of a client."""

        def __init__(self, client: "Client") -> None:
            self._client = client

        def __repr__(self) -> str:
            return f"the services at {shown(self._services_url)}"

        def __getitem__(self, service_uuid: str | UUID) -> Service:
            service = self._service(service_uuid)
            if not service.does_service_exist:
                self._handle_nonexistent_service(service)
            return service

        def __iter__(self) -> Iterator[Service]:
            return iter(self.values())

        def __len__(self) -> int:
            return len(self._data_from_services_request)

        def __contains__(self, service: object) -> bool:
            if isinstance(service, Service):
                service = service.service_id
            return isinstance(service, str | UUID) and self._service(service).does_service_exist

        def keys(self) -> list[str]:
            """Return the ids of the services."""
            return [str(line["id"]) for line in self._data_from_services_request]

        def values(self) -> list[Service]:
            """Return the services."""
            return [self._service(id_) for id_ in self.keys()]

        def items(self) -> list[tuple[str, Service]]:
            """Return the services with their ids."""
            return [(id_, self._service(id_)) for id_ in self.keys()]

        def get(self, service_uuid: str | UUID, default: Service | None = None) -> Service | None:
            """Return a service; `default` if the server knows none of that id."""
            try:
                return self[service_uuid]
            except ServiceNotFoundError:
                return default

        def _service(self, service_uuid: str | UUID) -> Service:
            return Service(service_uuid, self._client.url, self._client.transport)

        @property
        def _data_from_services_request(self) -> list[dict[str, Any]]:
            return self._client.transport.run(calls.service_lines())

        def _handle_nonexistent_service(self, service: Service) -> None:
            raise ServiceNotFoundError(f"{shown(self._client.url)} knows no service {service.service_id}", status=404)

        @property
        def _http_library(self) -> Any:
            return self._client.http_library

        @property
        def _services_url(self) -> str:
            return self._client.services_url

        @property
        def content_type_header(self) -> dict[str, str]:
            """The header that says that requests are JSON."""
            return dict(JSON_HEADER)

    def __init__(
        self,
        url: str,
        http_library: HTTPLibrary | None = None,
        *,
        api_key: str | None = None,
        timeout: float = REQUEST_SECONDS_DEFAULT,
    ) -> None:
        self.url = url
        self.transport = Transport(url, http_library, api_key, timeout)

    def __repr__(self) -> str:
        return f"Client({shown(self.url)!r})"

    @property
    def http_library(self) -> Any:
        """The library that sends the requests."""
        return self.transport.library

    @property
    def services(self) -> "Client._TopChefServicesGetter":
        """The services of the server: by id, iterated over, counted, and asked with `in`."""
        return self._TopChefServicesGetter(self)

    @property
    def services_url(self) -> str:
        """The URL at which the services are listed."""
        return f"{self.transport.url}/services"

    def new_service(
        self,
        name: str,
        description: str,
        job_registration_schema: Any,
        job_result_schema: Any = None,
        *,
        if_exists: str = "create",
    ) -> Service:
        """Register a service, and return it; see `ServiceListener.new_service`."""
        definition = calls.definition(name, description, job_registration_schema, job_result_schema)
        id_ = self.transport.run(calls.new_service(definition, reuse=calls.is_reused(if_exists)))
        return Service(id_, self.url, self.transport)

    def close(self) -> None:
        """Close the connections; a client that is no longer used does so by itself."""
        self.transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
