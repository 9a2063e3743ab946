"""Ends a waiting request as soon as its client disconnects."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from litestar import Request


@asynccontextmanager
async def while_present(request: Request[Any, Any, Any]) -> AsyncIterator[None]:
    """Run the block, and cancel it if the client of the request disconnects.

    The body of the request must have been read.
    """
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_cancel_when_gone, request, tasks.cancel_scope)
            yield
            tasks.cancel_scope.cancel()
    except ExceptionGroup as group:  # of one error, which the block has raised: the other task raises none
        raise group.exceptions[0] from None


async def _cancel_when_gone(request: Request[Any, Any, Any], scope: anyio.CancelScope) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
