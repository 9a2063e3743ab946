"""All routes about tasks and queues."""

from collections.abc import Sequence
from typing import Final

from litestar.handlers import HTTPRouteHandler

from .acting import acknowledge_task, fail_task, requeue_task, retry_task, revoke_task
from .dead_letters import (
    list_dead_letters,
    purge_dead_letter,
    purge_dead_letters,
    requeue_dead_letter,
    requeue_dead_letters,
    show_dead_letter,
)
from .locks import list_locks, release_lock, show_lock
from .looking_up import explain_task, list_tasks, show_history, show_result, show_task, show_task_counts
from .queues import list_queues, pause_queue, resume_queue, show_queue, show_status
from .schedules import clear_schedule, list_schedules, list_ticks, pause_schedule, resume_schedule, show_schedule
from .searching import search
from .services import list_services
from .stream import stream_task
from .submitting import submit_tasks
from .workers import list_workers, show_worker

TASK_ROUTES: Final[Sequence[HTTPRouteHandler]] = (
    submit_tasks,
    list_tasks,
    show_task_counts,
    show_task,
    show_result,
    show_history,
    explain_task,
    stream_task,
    revoke_task,
    requeue_task,
    acknowledge_task,
    fail_task,
    retry_task,
    list_dead_letters,
    show_dead_letter,
    requeue_dead_letter,
    purge_dead_letter,
    requeue_dead_letters,
    purge_dead_letters,
    list_queues,
    show_queue,
    pause_queue,
    resume_queue,
    list_workers,
    show_worker,
    show_status,
    search,
    list_locks,
    show_lock,
    release_lock,
    list_schedules,
    show_schedule,
    list_ticks,
    list_services,
    pause_schedule,
    resume_schedule,
    clear_schedule,
)
