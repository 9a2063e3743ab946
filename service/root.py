"""GET / : what this service is, and where to go on."""

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency

from .answers import spoken
from .backend import Backend
from .keys import Scope
from .version import VERSION


class Service(msgspec.Struct):
    """A service: the journal that it serves, without a password, and the addresses of its descriptions."""

    service: str
    version: str
    journal: str
    openapi: str
    page: str


@get("/", opt={"scope": Scope.READ}, sync_to_thread=False)
def describe_service(backend: NamedDependency[Backend]) -> Response[Service]:
    """Describe the service: its version, its journal, and the address of its OpenAPI document."""
    return spoken(
        Service("journeyman", VERSION, backend.journal.url, "/schema/openapi.json", "/schema"), backend.cursor
    )
