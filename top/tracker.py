"""`Tracker`: records which tasks run and which have ended, and returns them."""

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from .task import Task

T = TypeVar("T", bound=Task)


class Tracker(ABC, Generic[T]):
    """Base of the trackers."""

    @abstractmethod
    def clear(self) -> None:
        """End what a crashed or restarted server has left behind; to be called when the server starts."""

    @abstractmethod
    def start_task(self, task: T) -> None:
        """Record the start of a task."""

    @abstractmethod
    def end_task(self, task: T) -> None:
        """Record the end of a task."""

    @abstractmethod
    def get_active_tasks(self) -> dict[int | str, T]:
        """Return the tasks that run, by their ids, the oldest first."""

    @abstractmethod
    def get_completed_tasks(self) -> list[T]:
        """Return the last tasks that have ended, the newest first."""
