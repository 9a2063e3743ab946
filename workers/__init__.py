"""Tasks: broker, claims, leases, crews, results. Decided by the fold of the journal."""

from .backoff import Backoff, ConstantBackoff, ExponentialBackoff, LinearBackoff, settings2backoff
from .broker import AsyncBroker, Broker
from .disposition import Disposition, Effect
from .errors import (
    MessageAlreadyExistsError,
    MultipleBrokersError,
    NoTasksFoundError,
    RevokedError,
    SubmissionInDoubt,
    TaskError,
    TaskFailedError,
    TaskNameCollisionError,
    ValidationError,
)
from .foreman.foreman import Foreman
from .loading import collect_tasks
from .message import Message
from .pools import ProcessWorkerPool, ThreadWorkerPool, Worker
from .result_pool import AsyncResultPool, ResultPool
from .results import AsyncResultStore, ResultStore
from .rules.state import SessionState, TaskState
from .rules.transitions import State
from .rules.view import TaskView, Verdict
from .settings import Settings, Statistics
from .status import AsyncStatusTracker, StatusTracker, StatusUpdate, TaskStatus
from .task import Task, task
from .worker import work

__all__ = [
    "AsyncBroker",
    "Broker",
    "Disposition",
    "Effect",
    "Message",
    "Task",
    "task",
    "AsyncStatusTracker",
    "StatusTracker",
    "StatusUpdate",
    "TaskStatus",
    "AsyncResultPool",
    "AsyncResultStore",
    "ResultPool",
    "ResultStore",
    "Backoff",
    "ConstantBackoff",
    "LinearBackoff",
    "ExponentialBackoff",
    "settings2backoff",
    "Foreman",
    "Settings",
    "Statistics",
    "work",
    "Worker",
    "ThreadWorkerPool",
    "ProcessWorkerPool",
    "collect_tasks",
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
    "MultipleBrokersError",
    "TaskFailedError",
    "RevokedError",
    "SubmissionInDoubt",
]
