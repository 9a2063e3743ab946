"""Tasks: broker, claims, leases, crews, results. Decided by the fold of the journal."""

from .backoff import Backoff, ConstantBackoff, ExponentialBackoff, LinearBackoff, settings2backoff
from .broker import Broker
from .disposition import Disposition, Effect
from .errors import (
    MessageAlreadyExistsError,
    MultipleBrokersError,
    NoTasksFoundError,
    RevokedError,
    TaskError,
    TaskFailedError,
    TaskNameCollisionError,
    ValidationError,
)
from .foreman.foreman import Foreman
from .loading import collect_tasks
from .message import Message
from .pools import ProcessWorkerPool, ThreadWorkerPool, Worker
from .results import ResultStore
from .rules.state import SessionState, TaskState
from .rules.transitions import State
from .rules.view import TaskView, Verdict
from .settings import Settings, Statistics
from .status import StatusTracker, StatusUpdate, TaskStatus
from .task import Task, task
from .worker import work

__all__ = [
    "Broker",
    "Disposition",
    "Effect",
    "Message",
    "Task",
    "task",
    "StatusTracker",
    "StatusUpdate",
    "TaskStatus",
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
]
