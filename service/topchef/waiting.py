"""Wakes the requests that wait for a job of a queue, or for the end of a job."""

from collections.abc import Callable
from typing import Final

import anyio

from ..backend import Backend
from ..presence import while_present
from .bodies import AnyRequest


class Bells:
    """An event for each queue and each job that a request waits for; it is set when the job moves."""

    def __init__(self, backend: Backend) -> None:
        self._backend: Final = backend
        self._waiting: dict[str, anyio.Event] = {}

    async def wait(self, request: AnyRequest, key: str, seconds: float, is_over: Callable[[], bool]) -> None:
        """Wait until `is_over`, at most so many seconds; no longer if the client goes or the service stops.

        `key` is a queue or the id of a job. No thread waits, and no request is asked twice about one move.
        """
        if seconds <= 0 or is_over():
            return
        with anyio.move_on_after(seconds):
            async with while_present(request):
                while not is_over() and not self._backend.stopping.is_set():
                    await self._bell(key).wait()

    def _bell(self, key: str) -> anyio.Event:
        self._backend.view.jobs.on_move = self.ring  # the view may have been replaced
        bell = self._waiting.get(key)
        if bell is None:
            bell = self._waiting[key] = anyio.Event()
        return bell

    def ring(self, queue: str, job: str) -> None:
        """Wake the requests that wait for a queue or a job."""
        for key in (queue, job) if self._waiting else ():
            bell = self._waiting.pop(key, None)
            if bell is not None:
                bell.set()

    async def run(self) -> None:
        """Wake all requests when the service stops."""
        await self._backend.stopping.wait()
        waiting, self._waiting = self._waiting, {}
        for bell in waiting.values():
            bell.set()
