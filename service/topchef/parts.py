"""What the routes of services and jobs share, made once for an application."""

from typing import Any

import msgspec
from litestar import Response
from litestar.exceptions import HTTPException

from ..backend import Backend
from ..remote.workers import RemoteWorkers
from .addresses import Addresses, AnyRequest, Links
from .changes import JobChanges
from .jobs import JobReader
from .listeners import Listeners
from .registry import Registry
from .waiting import Bells


class Envelope(msgspec.Struct):
    """An answer: its data, the schemas of what the address takes and gives, and its address."""

    data: Any
    meta: Any
    links: Links


Answer = Response[Envelope]


class TopChef:
    """The services and jobs of a journal, mounted at `path`."""

    def __init__(self, backend: Backend, remote: RemoteWorkers, path: str) -> None:
        self.backend = backend
        self.addresses = Addresses(path)
        self.reader = JobReader(backend)
        self.listeners = Listeners(remote)
        self.changes = JobChanges(backend, remote, self.listeners, self.reader)
        self.registry = Registry(backend, self.changes.schemas, self.reader)
        self.bells = Bells(backend)

    def answer(
        self,
        request: AnyRequest,
        data: Any,
        meta: Any,
        *,
        status: int = 200,
        location: str | None = None,
    ) -> Answer:
        """Return data in its envelope; `location` is the address of what was made, or is described."""
        base = self.addresses.base(request)
        own = base + str(request.scope["path"])[len(self.addresses.path) :]
        headers = {} if location is None else {"Location": location}
        return Response(Envelope(data, meta, Links(location or own)), status_code=status, headers=headers)


def number_in(request: AnyRequest, header: str) -> int | None:
    """Return the number in a header; None without it. `HTTPException` 400 for any other text."""
    given = request.headers.get(header)
    if given is None:
        return None
    if not (given.isascii() and given.isdigit() and len(given) <= 19):
        raise HTTPException(status_code=400, detail=f"expected as {header} a number, got {given!r:.50}")
    return int(given)
