"""The thread that reads the journal for the screen: it follows it, looks into its past, and acts on tasks.

It has an event loop of its own, so that no read, replay or append delays the loop of the screen. The screen says what
it shows by a `Question`; the thread answers each new one, and the last one again as the journal goes on, by a `Frame`.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from ..journal.async_journal import AsyncJournal
from ..journal.errors import JournalError, JournalGone, JournalUnavailable
from ..tasks.broker import AsyncBroker
from ..tasks.errors import TaskError
from .answering import Answering
from .following import Following
from .limits import AGAIN_SECONDS, IDLE_REFRESH_SECONDS, LEAVE_SECONDS_MAX, REFRESH_SECONDS
from .question import Frame, Question
from .standing import Standing, read_standing

T = TypeVar("T")
logger = logging.getLogger(__name__)
# What is done with a broker, and what is called with what became of it.
Act = Callable[[AsyncBroker], Coroutine[Any, Any, str]]
Told = Callable[[str], None]


class Superseded(Exception):
    """Another moment is asked for while one is read."""


class Reader:
    """Reads for one screen. `show` is called with each frame, and `fail` with an error that ends it, in its thread."""

    def __init__(
        self,
        open_journal: Callable[[], AsyncJournal],
        show: Callable[[Frame], None],
        fail: Callable[[Exception], None],
        clock: Callable[[], float],
    ) -> None:
        self._open_journal = open_journal
        self._show = show
        self._fail = fail
        self._clock = clock
        self._question = Question()
        self._shown: Frame | None = None
        self._was_open = False
        self._broker: AsyncBroker | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._acts: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name="journeyman-top", daemon=True)

    # -- called by the screen ----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def ask(self, question: Question) -> None:
        """Answer this question from now on."""
        self._question = question
        self._call(self._wake.set)

    def act(self, act: Act, told: Told) -> None:
        """Act on the journal's tasks, and call `told` with what became of it, in the thread of the reader."""
        self._call(lambda: self._begin(act, told))

    def stop(self) -> None:
        """End the thread, and wait a moment for it."""
        if self._thread.is_alive():
            self._call(lambda: self._task.cancel() if self._task is not None else None)
            self._thread.join(LEAVE_SECONDS_MAX)

    def _call(self, callback: Callable[[], object]) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(callback)

    # -- in the thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:
            logger.debug("the reader of the screen has failed", exc_info=True)
            self._fail(error)

    async def _serve(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        try:
            while True:
                try:
                    await self._use_journal()
                except JournalError as error:
                    if not self._was_open and not isinstance(error, JournalUnavailable):
                        raise  # the caller's mistake; later it may be mended
                    await self._tell_trouble(str(error))
        except asyncio.CancelledError:
            return

    async def _tell_trouble(self, trouble: str) -> None:
        """Tell what is wrong, and wait before the next attempt."""
        self._tell(trouble)
        await asyncio.sleep(AGAIN_SECONDS)

    def _tell(self, trouble: str) -> None:
        """Tell at once what is wrong, or that nothing is any more: a frame may wait for the journal."""
        self._show(Frame(self._question, self._clock(), trouble))

    async def _use_journal(self) -> None:
        """Open the journal, and answer from it until it fails for good."""
        async with self._open_journal() as journal:
            await journal.open()
            self._was_open = True
            self._broker = AsyncBroker(journal)
            following = Following(journal, self._wake, self._clock, self._tell)
            try:
                await self._answer_questions(journal, following)
            finally:
                self._broker = None
                await following.aclose()

    async def _answer_questions(self, journal: AsyncJournal, following: Following) -> None:
        past: Answering | None = None
        while True:
            question, begun = self._question, self._clock()
            self._wake.clear()
            try:
                if question.moment is None:
                    await following.pause(paused=question.paused)
                    answering = await following.answering(self._progress(question))
                    frame = await answering.answer(question, following.now())
                    past = None
                else:
                    await following.pause(paused=True)
                    if past is None or past.standing.moment != question.moment:
                        standing = await self._read_past(journal, question)
                        past = Answering(journal, standing)
                    frame = await past.answer(question, question.moment)
                self._show(frame._replace(trouble=following.trouble))
            except Superseded:
                continue
            except JournalGone:
                raise  # another journal, if any, has taken its place
            except JournalUnavailable as error:
                self._show(Frame(question, self._clock(), str(error)))
                await self._until_due(question, self._clock(), AGAIN_SECONDS)
                continue
            if following.failure is not None:
                raise following.failure
            await self._until_due(question, begun, None, following)

    async def _read_past(self, journal: AsyncJournal, question: Question) -> Standing:
        return await read_standing(journal, question.moment, self._clock(), self._progress(question))

    def _progress(self, question: Question) -> Callable[[float], None]:
        """Return what shows the progress of a long read, and ends it when another moment is asked for."""
        shown_at = self._clock()

        def progress(fraction: float) -> None:
            nonlocal shown_at
            if self._question.moment != question.moment:
                raise Superseded
            now = self._clock()
            if now - shown_at >= REFRESH_SECONDS / 2:
                shown_at = now
                self._show(Frame(question, now, read=fraction))

        return progress

    async def _until_due(
        self, question: Question, begun: float, seconds: float | None, following: Following | None = None
    ) -> None:
        """Wait until another question is asked, or the next frame is due."""
        trouble = following.trouble if following is not None else ""
        while self._question is question and (following is None or following.trouble == trouble):
            due = seconds
            if due is None:
                due = REFRESH_SECONDS if following is not None and following.has_news() else IDLE_REFRESH_SECONDS
                if question.moment is not None or question.paused:
                    due = IDLE_REFRESH_SECONDS
            rest = begun + due - self._clock()
            if rest <= 0:
                return
            self._wake.clear()
            if self._question is not question:
                return
            try:
                await asyncio.wait_for(self._wake.wait(), rest)
            except TimeoutError:
                return

    # -- acts --------------------------------------------------------------------------------------------------------

    def _begin(self, act: Act, told: Told) -> None:
        task = asyncio.get_running_loop().create_task(self._do(act, told))
        self._acts.add(task)
        task.add_done_callback(self._acts.discard)

    async def _do(self, act: Act, told: Told) -> None:
        broker = self._broker
        if broker is None:
            told("the journal is away: nothing was done")
            return
        try:
            told(await act(broker))
        except (JournalError, TaskError) as error:
            told(f"nothing was done, or it is in doubt: {error}")
