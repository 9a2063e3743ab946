"""The API of producers and readers: tasks, messages, results, states, and the index."""

from typing import TYPE_CHECKING

from ..lazy import searching

if TYPE_CHECKING:
    from .backoff import Backoff, ConstantBackoff, ExponentialBackoff, LinearBackoff, settings2backoff
    from .broker import AsyncBroker, Broker
    from .decorator import task
    from .definition import Task
    from .disposition import Disposition, Effect
    from .doubts import SubmissionInDoubt
    from .errors import (
        LockAlreadyAcquiredError,
        LockNotAcquiredError,
        MessageAlreadyExistsError,
        MessageDoesNotExistsError,
        MultipleBrokersError,
        NoTasksFoundError,
        RevokedError,
        SchedulingError,
        SerializationError,
        TaskError,
        TaskFailedError,
        TaskNameCollisionError,
        TerminationError,
        ValidationError,
    )
    from .exception_details import ExceptionDetails, get_exception_name, parse_exception
    from .locks import AsyncLock, AsyncSemaphore, Lock, ProcessLock, Semaphore, ThreadLock
    from .message import Message
    from .result_pool import AsyncResultPool, ResultPool
    from .results import AsyncResultStore, ResultStore
    from .retry_after import RetryAfter
    from .serializers import BinarySerializer, JsonSerializer, MsgspecSerializer, Serializer
    from .state.state import SessionState, TaskState
    from .state.transitions import State
    from .state.view import TaskView, Verdict
    from .status import TERMINAL_TASK_STATUSES, AsyncStatusTracker, StatusTracker, StatusUpdate, TaskStatus
    from .status_scanner import StatusTrackerIntegrityScanner, StatusTrackerIntegryScanner
    from .trigger_task import TriggerTask

__all__ = [
    "AsyncBroker",
    "Broker",
    "Disposition",
    "Effect",
    "Message",
    "Task",
    "task",
    "TriggerTask",
    "AsyncStatusTracker",
    "StatusTracker",
    "StatusUpdate",
    "TaskStatus",
    "TERMINAL_TASK_STATUSES",
    "StatusTrackerIntegrityScanner",
    "StatusTrackerIntegryScanner",
    "AsyncResultPool",
    "AsyncResultStore",
    "ResultPool",
    "ResultStore",
    "AsyncLock",
    "AsyncSemaphore",
    "Lock",
    "ProcessLock",
    "Semaphore",
    "ThreadLock",
    "LockAlreadyAcquiredError",
    "LockNotAcquiredError",
    "Backoff",
    "ConstantBackoff",
    "LinearBackoff",
    "ExponentialBackoff",
    "settings2backoff",
    "TaskView",
    "TaskState",
    "SessionState",
    "State",
    "Verdict",
    "TaskError",
    "ValidationError",
    "NoTasksFoundError",
    "TaskNameCollisionError",
    "MessageAlreadyExistsError",
    "MessageDoesNotExistsError",
    "TerminationError",
    "MultipleBrokersError",
    "TaskFailedError",
    "RevokedError",
    "RetryAfter",
    "ExceptionDetails",
    "get_exception_name",
    "parse_exception",
    "SchedulingError",
    "SubmissionInDoubt",
    "SerializationError",
    "Serializer",
    "JsonSerializer",
    "MsgspecSerializer",
    "BinarySerializer",
]

_MODULES = (
    "errors",
    "disposition",
    "backoff",
    "retry_after",
    "exception_details",
    "state.transitions",
    "state.state",
    "state.view",
    "message",
    "doubts",
    "serializers",
    "status",
    "results",
    "result_pool",
    "status_scanner",
    "locks",
    "broker",
    "definition",
    "decorator",
    "trigger_task",
)

if not TYPE_CHECKING:  # a type checker would take every name for a public one
    __getattr__, __dir__ = searching(__name__, __all__, _MODULES)
