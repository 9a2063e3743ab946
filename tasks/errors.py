"""What can go wrong with tasks."""


class TaskError(Exception):
    """Base of the errors of tasks and workers."""


class ValidationError(TaskError, ValueError):
    """An argument breaks a rule: the caller corrects it; nothing was submitted."""


class MessageAlreadyExistsError(ValidationError):
    """The journal has a task of an id that the caller chose: the caller asks for that one, or chooses another id.

    Of several messages handed in at once the others were accepted: `refused` and `accepted` are the ids of each.
    """

    def __init__(self, message: str, refused: tuple[str, ...] = (), accepted: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.refused = refused
        self.accepted = accepted


class NoTasksFoundError(TaskError):
    """A package was loaded and holds no task: the operator names another."""


class TaskNameCollisionError(TaskError):
    """Two different tasks have the same name: one of them must be renamed."""


class MultipleBrokersError(TaskError):
    """The tasks of one worker use different journals."""


class TaskFailedError(TaskError, KeyError):
    """The result of a task was asked for that has failed or was revoked; a `KeyError` too, as there is no result.

    `task` is its id and `revoked` whether it was revoked. `name`, `text` and `traceback` are those of the exception
    that its last attempt ended with: the class with its module, the message, and the lines as Python prints them. All
    three are empty where there was none, or where retention has removed it.
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
    ) -> None:
        super().__init__(message)
        self.task = task
        self.name = name
        self.text = text
        self.traceback = traceback
        self.revoked = revoked

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
        """What it was given; an exception raised in a thread from outside is given nothing."""
        return super().__str__() or "the task has run for longer than its timeout"


class Overdue(BaseException):
    """Thrown into the thread of a task that is over its time; what is told of it is a `TaskTimeoutError`.

    No `Exception`, and above all no `TimeoutError` and `OSError`: what the task is calling when it strikes, a journal
    or a client with timeouts of its own, would take it for an answer to its own call, and the task would go on.
    """

    def told(self) -> TaskTimeoutError:
        """What a task's `do_retry` and the readers of its outcome are told, with the place at which it struck."""
        return TaskTimeoutError().with_traceback(self.__traceback__)


class ProcessDiedError(TaskError):
    """The process that ran the task has died with it."""
