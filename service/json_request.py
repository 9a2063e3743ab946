"""The class of requests: a JSON body nested deeper than the decoder follows is refused, as other malformed ones are."""

from typing import Any

from litestar import Request

from .problems import Problem


class JsonRequest(Request[Any, Any, Any]):
    """A request whose decoder's failure on a deep body is the caller's error, not the service's."""

    async def json(self) -> Any:
        """Return the decoded body; `Problem` 400 if lists and objects in it are nested too deep to be decoded."""
        try:
            return await super().json()
        except RecursionError:
            detail = (
                "lists and objects in the body are nested too deep to be read; flatten them, or encode them as text"
            )
            raise Problem(400, "too-deep", detail) from None
