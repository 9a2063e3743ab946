"""Follow the journal, once the screen first asks for the present, and answer from the current state."""

import asyncio
import contextlib
from collections.abc import Callable

from ..consumers.views.replica import Replica
from ..journal.async_journal import AsyncJournal
from ..journal.errors import JournalError, JournalGone, JournalUnavailable
from .answering import Answering
from .limits import AGAIN_SECONDS, ANSWER_SECONDS_MAX, LOOK_SECONDS
from .standing import ScreenView, read_standing


class Following:
    """The present of one journal. `wake` is set when it has gone on, `told` called when its trouble has changed."""

    def __init__(
        self, journal: AsyncJournal, wake: asyncio.Event, clock: Callable[[], float], told: Callable[[str], None]
    ) -> None:
        # Why the journal does not go on at present; empty if it does.
        self.trouble = ""
        # Why it never will; None if it may.
        self.failure: JournalError | None = None
        self._journal = journal
        self._wake = wake
        self._clock = clock
        self._told = told
        self._answering: Answering | None = None
        self._replica: Replica[ScreenView] | None = None
        self._task: asyncio.Task[None] | None = None
        self._paused_at: float | None = None
        self._answered = 0
        self._probe: asyncio.Task[None] | None = None

    async def answering(self, progress: Callable[[float], None]) -> Answering:
        """Return what answers from the present; the first call reads it."""
        if self._answering is None:
            standing = await read_standing(self._journal, None, self._clock(), progress)
            self._replica = Replica(self._journal, standing.view, standing.cursor)
            self._answering = Answering(self._journal, standing, self._replica)
        if self._task is None and self._paused_at is None:
            await self._catch_up()
            loop = asyncio.get_running_loop()
            self._task = loop.create_task(self._follow(), name="journeyman-top-follow")
            self._probe = loop.create_task(self._look(), name="journeyman-top-look")
        self._answered = self._applied()
        self._answering.standing.view.trends.slide(self.now())
        return self._answering

    async def _catch_up(self) -> None:
        """Apply what has come meanwhile, so that no old state is shown as the present, unless the journal is away."""
        assert self._replica is not None, "it is made before it catches up"
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._replica.catch_up(), ANSWER_SECONDS_MAX)

    def now(self) -> float:
        """Return the time of the present: that at which it was paused, if it is."""
        return self._clock() if self._paused_at is None else self._paused_at

    def has_news(self) -> bool:
        """Return whether events have come since the last answer."""
        return self._applied() != self._answered

    def _applied(self) -> int:
        return self._answering.standing.view.recent.applied if self._answering is not None else 0

    async def pause(self, *, paused: bool) -> None:
        """Stop going on, or go on again."""
        if paused and self._paused_at is None:
            self._paused_at = self._clock()
            await self._stop()
        elif not paused:
            self._paused_at = None

    async def _follow(self) -> None:
        assert self._replica is not None, "it is made before it is followed"
        while True:
            try:
                await self._replica.advance()
            except JournalUnavailable as error:
                if isinstance(error, JournalGone):
                    self._give_up(error)
                    return
                self._tell(str(error))
                await asyncio.sleep(AGAIN_SECONDS)
            except JournalError as error:
                self._give_up(error)
                return
            else:
                self._tell("")
                self._wake.set()
                await asyncio.sleep(0)  # pages that are there already come without a wait

    async def _look(self) -> None:
        """Notice an outage: a reader of a journal elsewhere waits for it in silence."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await asyncio.wait_for(self._journal.bounds(), ANSWER_SECONDS_MAX)
            except TimeoutError:
                self._tell(f"{self._journal.url} does not answer")
            except JournalUnavailable as error:
                self._tell(str(error))
            except JournalError as error:
                self._give_up(error)
                return
            else:
                self._tell("")

    def _tell(self, trouble: str) -> None:
        if trouble != self.trouble:
            self.trouble = trouble
            self._told(trouble)
            self._wake.set()

    def _give_up(self, error: JournalError) -> None:
        self.failure = error
        self._wake.set()

    async def _stop(self) -> None:
        tasks = [task for task in (self._task, self._probe) if task is not None]
        self._task = self._probe = None
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def aclose(self) -> None:
        """Follow it no more."""
        await self._stop()
        if self._answering is not None:
            await self._answering.aclose()
        if self._replica is not None:
            await self._replica.aclose()
