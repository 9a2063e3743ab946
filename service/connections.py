"""Cancels work when its client disconnects or the service stops, and lets ASGI applications answer by themselves."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

import anyio
from litestar import Response
from litestar.types import ASGIApp, Receive

T = TypeVar("T")


Work = Callable[[], Awaitable[None]]


async def while_connected(receive: Receive, work: Work) -> None:
    """Run `work` until it returns, or is cancelled because the client has gone; raises its error."""

    async def disconnected() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    await beside(disconnected, work)


async def unless_stopped(stopping: anyio.Event, work: Work) -> None:
    """Run `work` until it returns, or is cancelled because the service stops; raises its error."""
    await beside(stopping.wait, work)


async def beside(background: Work, work: Work) -> None:
    """Run both until one of them returns, and cancel the other. Raises the error of `work`."""
    failure: Exception | None = None

    async def watch() -> None:
        await background()
        tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        try:
            await work()
        except Exception as error:  # raised below: a task group would wrap it
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


class Direct(Response[T]):
    """A response that an ASGI application writes itself; `T` is its type in the OpenAPI document."""

    def __init__(self, application: ASGIApp) -> None:
        super().__init__(cast("T", None))
        self._application = application

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIApp:  # type: ignore[override]  # Litestar calls what it gets
        """Return the application."""
        return self._application
