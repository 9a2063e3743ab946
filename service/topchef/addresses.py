"""The addresses of services and jobs, absolute as in the original, and the ids in them."""

import re
from datetime import UTC, datetime
from typing import Any, Final, cast

import msgspec
from litestar import Request

AnyRequest = Request[Any, Any, Any]
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_HOST: Final = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,300}", re.ASCII)


class Links(msgspec.Struct):
    """The address of what was asked for."""

    self: str


class Addresses:
    """Makes addresses below `path`, where the services are mounted."""

    def __init__(self, path: str) -> None:
        self.path = path

    def base(self, request: AnyRequest) -> str:
        """Return the base URL, as the client addresses it."""
        scope = request.scope
        headers = dict(cast("list[tuple[bytes, bytes]]", scope["headers"]))
        host = headers.get(b"host", b"").decode("latin-1")
        if not _HOST.fullmatch(host):
            name, port = scope.get("server") or ("localhost", None)
            host = name if port is None else f"{name}:{port}"
        return f"{scope['scheme']}://{host}{self.path}"

    def service(self, request: AnyRequest, service: str) -> str:
        """Return the URL of a service."""
        return f"{self.base(request)}/services/{service}"

    def job(self, request: AnyRequest, job: str) -> str:
        """Return the URL of a job."""
        return f"{self.base(request)}/jobs/{job}"


def is_uuid(text: str) -> bool:
    """Return whether an id is a UUID."""
    return _UUID.fullmatch(text) is not None


def iso(seconds: float) -> str:
    """Return a time, in seconds since the epoch, as ISO 8601 with the offset of UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()
