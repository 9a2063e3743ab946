"""Rest between the turns of a worker loop in a stream of tasks, for as long as the commit pace says.

A rest ends early, once in a period, when all that is in hand has ended. Then the loop only settles: it appends the
outcomes, and rests on.
"""

import asyncio
import time
from contextlib import suppress
from enum import Enum, auto
from functools import partial

from ...tasks.state.view import TaskView
from ..limits import WAIT_ROUNDING_SECONDS
from ..scheduling.commit_pace import CommitPace
from .lanes import Lanes
from .reader import JournalReader


class Rested(Enum):
    """How a rest has ended."""

    NO = auto()  # there was none
    PERIOD = auto()  # the period is over
    SETTLES = auto()  # all that is in hand has ended before that


class StreamRest:
    """Takes the rests of one worker loop, and tells `pace` of its turns."""

    def __init__(self, pace: CommitPace, lanes: Lanes, reader: JournalReader, view: TaskView) -> None:
        self._pace = pace
        self._lanes = lanes
        self._reader = reader
        self._view = view
        self._latest: dict[tuple[str, int], int] = {}  # the offset of the last event of each session

    def note_turn(self, monotonic: float, append_seconds: float, *, holding: bool) -> None:
        """Record a turn that reads and claims; see `CommitPace.turned`."""
        latest = {(each.worker, each.partition): each.last for each in self._view.all_sessions()}
        # Those that have claimed or settled since the last turn: in a stream a worker holds claims for moments only.
        workers = len({worker for (worker, _), _ in latest.items() - self._latest.items()})
        self._latest = latest
        arrived = self._lanes.take_arrived()
        self._pace.turned(monotonic, arrived=arrived, holding=holding, append_seconds=append_seconds, workers=workers)

    def note_settled(self, monotonic: float) -> None:
        """Record that the outcomes of all that was in hand are appended; see `CommitPace.settled`."""
        self._pace.settled(monotonic, arrived=self._lanes.take_arrived())

    async def take(self, *, draining: bool) -> Rested:
        """Rest if a rest is due, without being woken by notifications; return how it has ended."""
        pause = self._pace.pause(time.monotonic(), outcomes=self._lanes.outcomes, draining=draining)
        if pause <= 0.0:
            return Rested.NO
        if not self._pace.may_settle or not self._lanes.busy:
            await self._reader.rest(pause)
            return Rested.PERIOD
        self._reader.stop_listening()
        return Rested.SETTLES if await self._ended_within(pause - WAIT_ROUNDING_SECONDS) else Rested.PERIOD

    async def _ended_within(self, seconds: float) -> bool:
        """Wait until all that is in hand has ended; return False if so many seconds have passed before."""
        loop = asyncio.get_running_loop()
        over, until = False, loop.time() + seconds
        while not self._lanes.ended and not over:
            told: asyncio.Future[bool] = loop.create_future()  # whether the time is over
            self._lanes.when_dry(partial(_tell, loop, told))
            timer = loop.call_at(until, _answer, told, True)
            if not self._lanes.ended:  # else the last job may have ended before the executors were asked to tell
                over = await told
            timer.cancel()
        self._lanes.when_dry(None)
        return self._lanes.ended


def _tell(loop: asyncio.AbstractEventLoop, told: "asyncio.Future[bool]") -> None:
    with suppress(RuntimeError):  # the event loop is closed: the task outlived the drain
        loop.call_soon_threadsafe(_answer, told, False)


def _answer(told: "asyncio.Future[bool]", over: bool) -> None:
    if not told.done():
        told.set_result(over)
