"""The errors of tasks."""


class TaskError(Exception):
    """Base of the errors of tasks and workers."""


class ValidationError(TaskError, ValueError):
    """An argument breaks a rule: the caller corrects it; nothing was submitted."""


class MessageAlreadyExistsError(ValidationError):
    """The journal holds a task of the chosen id: the caller reads that task's status, or chooses another id.

    If several messages were submitted at once, the others were accepted: `refused` and `accepted` hold the ids.
    """

    def __init__(self, message: str, refused: tuple[str, ...] = (), accepted: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.refused = refused
        self.accepted = accepted


class MessageDoesNotExistsError(TaskError):
    """The task of a message has ended, or is unknown, so it cannot be tried again."""


class TerminationError(TaskError):
    """The process or thread that ran the task was stopped."""


class SerializationError(ValidationError):
    """A serializer cannot write or read a value, or is not among those that were given to the reader."""


class NoTasksFoundError(TaskError):
    """A package was loaded and holds no task: the operator names another."""


class TaskNameCollisionError(TaskError):
    """Two different tasks have the same name: one of them must be renamed."""


class MultipleBrokersError(TaskError):
    """The tasks of one worker use different journals."""


class TaskFailedError(TaskError, KeyError):
    """A task has no result because it has failed or was revoked; a `KeyError` too, as for any missing result.

    `task` is its id and `revoked` whether it was revoked; `reason` is "expired" if it has lapsed, else empty. `name`,
    `text` and `traceback` describe the exception of its last attempt: the class with its module, the message, and the
    lines as Python prints them. All three are empty if there was none, or if retention has removed it.
    """

    def __init__(
        self,
        message: str,
        *,
        task: str = "",
        name: str = "",
        text: str = "",
        traceback: str = "",
        revoked: bool = False,
        reason: str = "",
    ) -> None:
        super().__init__(message)
        self.task = task
        self.name = name
        self.text = text
        self.traceback = traceback
        self.revoked = revoked
        self.reason = reason

    def __str__(self) -> str:
        """The message; that of a `KeyError` would be shown in quotes."""
        return str(self.args[0])


class RevokedError(TaskError):
    """The task was revoked."""


class UnknownTaskError(TaskError):
    """The journal has no task of that id."""


class TaskTimeoutError(TaskError, TimeoutError):
    """The task has run for longer than its timeout."""

    def __str__(self) -> str:
        """The message; an exception raised in a thread from outside has none, so it gets a default."""
        return super().__str__() or "the task has run for longer than its timeout"


class Overdue(BaseException):
    """Raised in the thread of a task that exceeds its timeout; reported as a `TaskTimeoutError`.

    It is no `Exception`, and above all no `TimeoutError` or `OSError`: a journal or client with timeouts of its own,
    which the task is calling at that moment, would handle it as a failure of its own call, and the task would go on.
    """

    def as_timeout_error(self) -> TaskTimeoutError:
        """Return the error that `do_retry` and the readers of the outcome get, with the place of the interruption."""
        return TaskTimeoutError().with_traceback(self.__traceback__)


class ProcessDiedError(TaskError):
    """The process that ran the task has died."""


class LockAlreadyAcquiredError(TaskError):
    """The owner that asks for a lock holds it already: the caller releases it first, or accepts that it holds it."""


class LockNotAcquiredError(TaskError):
    """The owner that releases a lock does not hold it: it never did, or its hold was expired or released."""


class SchedulingError(TaskError):
    """A function or a trigger cannot be scheduled, or the journal has another schedule of the same name."""
