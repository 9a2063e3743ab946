"""The errors of a worker process."""

from ..tasks.errors import TaskError


class HealthUnavailable(TaskError):
    """A worker cannot report its health: the file cannot be written, or the port cannot be bound."""


class LoopStopped(TaskError):
    """A task has stopped the event loop of its worker, which ends the worker: the task must be corrected.

    Nothing is lost: what the worker held returns when its lease is over.
    """


class OutcomesUnwritten(TaskError):
    """A stopped worker could not append the outcomes of its tasks for longer than its lease.

    Nothing is lost: the tasks return when its lease is over.
    """
