"""A worker loop that hands its tasks to callers: it claims one for each caller that waits, and none ahead."""

import logging

from ...journal.async_journal import AsyncJournal
from ..executors import HandOver
from ..executors.pipeline import Outcome
from ..scheduling.ready_queue import ReadyTasks
from ..settings import Settings
from .known_tasks import HELD, AnyTask
from .lane import Lane
from .loop import WorkerLoop


class HandOverLane(Lane):
    """Claims as many tasks as callers wait for; however many they hold, these are theirs."""

    def __init__(self, executor: HandOver, ready: ReadyTasks) -> None:
        super().__init__(executor, ready)
        self._hand_over = executor

    def free(self, monotonic: float) -> int:
        """Return how many callers wait."""
        return self._hand_over.wanted

    def outcomes(self, monotonic: float, *, draining: bool) -> list[Outcome]:
        """Return the outcomes that should be written now: of tasks that cannot be handed over, or were not taken."""
        self._held -= self._hand_over.drop_ended()
        return super().outcomes(monotonic, draining=draining)


class HandOverLoop(WorkerLoop):
    """Claims any tasks of the settings' selection and hands them over; all else is as in its base."""

    def __init__(self, journal: AsyncJournal, settings: Settings, hand_over: HandOver) -> None:
        super().__init__(journal, {}, settings, AnyTask(settings.selection))
        # Returning what callers hold is what leaving is for, and they may have ended some of it in the last moment.
        self._left_level = logging.INFO
        self._hand_over = hand_over

    def _open_lanes(self) -> None:
        self._lanes.open(HELD, HandOverLane(self._hand_over, ReadyTasks(selection=self._known.selection)))
        self._hand_over.begin(self._wake_from_thread)
