"""What can go wrong with a worker process."""

from ..tasks.errors import TaskError


class HealthUnavailable(TaskError):
    """A worker cannot report whether it is well: its file cannot be written, or its port not be had."""


class LoopStopped(TaskError):
    """A task has stopped the loop in which its worker works, which ends the worker: the task's author mends it.

    Nothing is lost: what the worker held returns when its lease is over.
    """


class OutcomesUnwritten(TaskError):
    """A worker was stopped and could not write down what became of its tasks, for longer than its lease.

    Nothing is lost: the tasks return when its lease is over.
    """
