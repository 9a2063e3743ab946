"""The names of the events of tasks and workers: stable strings, part of the log's format."""

from typing import Final

SUBMITTED: Final = "task.submitted"
CLAIMED: Final = "task.claimed"
SUCCEEDED: Final = "task.succeeded"
FAILED: Final = "task.failed"
RETRIED: Final = "task.retried"
INTERRUPTED: Final = "task.interrupted"
PROGRESSED: Final = "task.progressed"
REVOKED: Final = "task.revoked"
REQUEUED: Final = "task.requeued"
COLLECTED: Final = "task.collected"
PURGED: Final = "task.purged"
LAPSED: Final = "task.lapsed"
ACKNOWLEDGED: Final = "task.acknowledged"
REJECTED: Final = "task.rejected"
RESCHEDULED: Final = "task.rescheduled"
NOTED: Final = "task.noted"
RESULT_STORED: Final = "task.result_stored"
AMENDED: Final = "task.amended"

JOINED: Final = "worker.joined"
BEAT: Final = "worker.beat"
LEFT: Final = "worker.left"
EXPIRED: Final = "worker.expired"

PAUSED: Final = "queue.paused"
RESUMED: Final = "queue.resumed"

LOCK_REQUESTED: Final = "lock.requested"
LOCK_RENEWED: Final = "lock.renewed"
LOCK_RELEASED: Final = "lock.released"
LOCK_WITHDRAWN: Final = "lock.withdrawn"
LOCK_EXPIRED: Final = "lock.expired"

SERVICE_REGISTERED: Final = "service.registered"
SERVICE_CHANGED: Final = "service.changed"
SERVICE_CHECKED_IN: Final = "service.checked_in"

SCHEDULE_CREATED: Final = "schedule.created"
SCHEDULE_FIRED: Final = "schedule.fired"
SCHEDULE_SKIPPED: Final = "schedule.skipped"
SCHEDULE_PAUSED: Final = "schedule.paused"
SCHEDULE_RESUMED: Final = "schedule.resumed"
SCHEDULE_CLEARED: Final = "schedule.cleared"

TASK_EVENTS: Final = (
    SUBMITTED,
    CLAIMED,
    SUCCEEDED,
    FAILED,
    RETRIED,
    INTERRUPTED,
    PROGRESSED,
    REVOKED,
    REQUEUED,
    COLLECTED,
    PURGED,
    LAPSED,
    ACKNOWLEDGED,
    REJECTED,
    RESCHEDULED,
    NOTED,
    RESULT_STORED,
    AMENDED,
)
WORKER_EVENTS: Final = (JOINED, BEAT, LEFT, EXPIRED)
QUEUE_EVENTS: Final = (PAUSED, RESUMED)
LOCK_EVENTS: Final = (LOCK_REQUESTED, LOCK_RENEWED, LOCK_RELEASED, LOCK_WITHDRAWN, LOCK_EXPIRED)
SCHEDULE_EVENTS: Final = (
    SCHEDULE_CREATED,
    SCHEDULE_FIRED,
    SCHEDULE_SKIPPED,
    SCHEDULE_PAUSED,
    SCHEDULE_RESUMED,
    SCHEDULE_CLEARED,
)

# Of commands on many tasks, which a service carries out.
COMMAND_STARTED: Final = "command.started"
COMMAND_PROGRESSED: Final = "command.progressed"
COMMAND_STOPPING: Final = "command.stopping"
COMMAND_ENDED: Final = "command.ended"

COMMAND_EVENTS: Final = (COMMAND_STARTED, COMMAND_PROGRESSED, COMMAND_STOPPING, COMMAND_ENDED)
SERVICE_EVENTS: Final = (SERVICE_REGISTERED, SERVICE_CHANGED, SERVICE_CHECKED_IN)

# The queue of a service's jobs has this before the id of the service.
JOB_QUEUE_PREFIX: Final = "topchef."
# The queue of a task that names none; a submission does not spell it out.
QUEUE_DEFAULT: Final = "default"

# What `task.lapsed` says as its reason.
EXPIRED_REASON: Final = "expired"

# The events with which a worker may end an attempt.
OUTCOMES: Final = frozenset({SUCCEEDED, FAILED, RETRIED, INTERRUPTED})
# The events with which a program that is no worker ends or returns a task, whether it waits or runs.
BY_HAND: Final = frozenset({ACKNOWLEDGED, REJECTED, RESCHEDULED})
