"""How a worker works, and what it has done."""

import os

import msgspec

from ..journal.limits import (
    COROUTINES_DEFAULT,
    COROUTINES_MAX,
    DRAIN_SECONDS_DEFAULT,
    LEASE_MS_DEFAULT,
    LEASE_MS_MAX,
    LEASE_MS_MIN,
    PROCESSES_MAX,
    THREADS_DEFAULT,
    THREADS_MAX,
)
from .errors import ValidationError


def processes_default() -> int:
    """One process less than there are processors, as the reference task queue has it; at least one."""
    return max(1, (os.cpu_count() or 2) - 1)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How a worker works.

    - `queues`: the queues it serves, in order of preference; None for all, alike.
    - `threads`, `processes`, `coroutines`: how many tasks of each mechanism it runs at a time.
    - `lease_ms`: how long, in ms, it may be silent while it holds claims.
    - `drain_seconds`: how long it lets tasks run to their end when it is stopped, in seconds.
    """

    queues: tuple[str, ...] | None = None
    threads: int = THREADS_DEFAULT
    processes: int = msgspec.field(default_factory=processes_default)
    coroutines: int = COROUTINES_DEFAULT
    lease_ms: int = LEASE_MS_DEFAULT
    drain_seconds: float = DRAIN_SECONDS_DEFAULT

    def __post_init__(self) -> None:
        """Refuse what no worker can work with: `ValidationError` names the bounds."""
        for name, lowest, highest in _BOUNDS:
            value = getattr(self, name)
            if not lowest <= value <= highest:
                raise ValidationError(f"{name} must be from {lowest:,} to {highest:,}, got {value!r}")
        if self.queues is not None and (not self.queues or len(set(self.queues)) < len(self.queues)):
            raise ValidationError(
                f"queues must be different names, at least one, got {', '.join(self.queues) or 'none'}"
            )

    @property
    def lease_seconds(self) -> float:
        """The lease in seconds."""
        return self.lease_ms / 1_000


_BOUNDS = (
    ("threads", 1, THREADS_MAX),
    ("processes", 1, PROCESSES_MAX),
    ("coroutines", 1, COROUTINES_MAX),
    ("lease_ms", LEASE_MS_MIN, LEASE_MS_MAX),
    ("drain_seconds", 0, 7 * 24 * 60 * 60),
)


class Statistics(msgspec.Struct):
    """What a worker has done since it started."""

    claimed: int = 0
    lost_claims: int = 0
    succeeded: int = 0
    failed: int = 0
    retried: int = 0
    interrupted: int = 0
    refused: int = 0
    appends: int = 0
    expired_sessions: int = 0
