"""What can go wrong with tasks and workers; the names follow the reference task queue where it has them."""


class TaskError(Exception):
    """Base of the errors of tasks and workers."""


class ValidationError(TaskError, ValueError):
    """An argument breaks a rule: the caller corrects it; nothing was submitted."""


class NoTasksFoundError(TaskError):
    """A package was loaded and holds no task: the operator names another."""


class TaskNameCollisionError(TaskError):
    """Two different tasks have the same name: one of them must be renamed."""


class MultipleBrokersError(TaskError):
    """The tasks of one worker use different journals."""


class TaskFailedError(TaskError):
    """The result of a task was asked for that has failed or was revoked."""


class RevokedError(TaskError):
    """The task was revoked."""


class UnknownTaskError(TaskError):
    """The journal has no task of that id."""
