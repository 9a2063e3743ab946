"""The names of the events that tasks and workers append: stable strings, part of the format of the log."""

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

JOINED: Final = "worker.joined"
BEAT: Final = "worker.beat"
LEFT: Final = "worker.left"
EXPIRED: Final = "worker.expired"

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
)
WORKER_EVENTS: Final = (JOINED, BEAT, LEFT, EXPIRED)
