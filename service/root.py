"""GET / : what this service is, and where to go on; for browsers the page. GET /key : what the caller's key permits."""

from typing import Any, cast

import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency

from .answers import spoken
from .authentication import CALLER, permit
from .backend import Backend
from .keys import Caller, Scope
from .page.routes import answer_page, wants_page
from .version import VERSION


class ServiceDescription(msgspec.Struct):
    """A service: the journal that it serves, without a password, and the addresses of its descriptions."""

    service: str
    version: str
    journal: str
    openapi: str
    page: str


class KeyAnswer(msgspec.Struct, frozen=True):
    """The key of a request: the name of its owner, and its scopes; `admin` permits everything.

    Without a key `name` is null, unless the service needs none: then `needed` is false, and everything is permitted.
    """

    needed: bool
    name: str | None
    scopes: list[str]


@get("/", opt={"scope": None}, security=[{"key": [Scope.READ.value]}], sync_to_thread=False)
def describe_service(
    request: Request[Any, Any, Any], backend: NamedDependency[Backend]
) -> Response[ServiceDescription]:
    """Describe the service: its version, its journal, the address of its OpenAPI document; browsers get the page."""
    if wants_page(request):
        return cast("Response[ServiceDescription]", answer_page(request))
    permit(request.scope, Scope.READ)
    said = ServiceDescription("journeyman", VERSION, backend.journal.url, "/schema/openapi.json", "/schema")
    answer = spoken(said, backend.cursor)
    answer.headers["Vary"] = "Accept"
    return answer


@get("/key", opt={"scope": None}, sync_to_thread=False)
def describe_key(request: Request[Any, Any, Any]) -> KeyAnswer:
    """Say what the caller's key permits; without a key, whether one is needed. 401 for an unknown key."""
    caller: Caller | None = request.scope["state"][CALLER]
    if caller is None and "authorization" in request.headers:
        permit(request.scope, Scope.READ)
    if caller is None:
        return KeyAnswer(needed=True, name=None, scopes=[])
    return KeyAnswer(needed=caller.allowed is not None, name=caller.name, scopes=sorted(caller.scopes))
