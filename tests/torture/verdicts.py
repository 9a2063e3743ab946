"""What a check of the torture finds: violations, figures, and what is judged when all events are read."""

import math
from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Expiry:
    """An accepted expiry: the worker's process, from its last event to the expiry, and its lease; times in seconds.

    `held` says whether it held claims: an idle session is silent by nature, and expired when its process is missed.
    """

    pid: int
    silent_from: float
    silent_until: float
    lease: float
    held: bool


@dataclass(frozen=True)
class Loss:
    """A lock that a process lost while it used it, since it was silent from when until when; times in seconds."""

    lock: str
    pid: int
    silent_from: float
    silent_until: float


@dataclass(frozen=True)
class Wound:
    """A process that was hurt, from when until when; without end if it was killed or told to end."""

    pid: int
    begun: float
    ended: float = math.inf

    def explains(self, silence: "Expiry | Loss", slack: float) -> bool:
        """Whether the process may have been silent because of this; `slack` is for clocks, and for coming to."""
        overlaps = self.begun <= silence.silent_until + slack and silence.silent_from <= self.ended + slack
        return self.pid == silence.pid and overlaps


@dataclass(frozen=True)
class Life:
    """A session of a worker's process: when it was opened, and when it ended."""

    pid: int
    joined: float
    ended: float = math.inf


@dataclass
class Verdicts:
    """The result of a check; `violations` is empty if every promise was kept.

    `untimely` are the promises about time that were broken. A machine that gives a process no turn for seconds breaks
    them as well, so `make torture` judges them, and the tests do not.
    """

    violations: list[str] = field(default_factory=list)
    untimely: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    takeover_seconds: list[float] = field(default_factory=list)
    overtime_seconds: list[float] = field(default_factory=list)
    tick_seconds_late: list[float] = field(default_factory=list)
    expiries: list[Expiry] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    lives: list[Life] = field(default_factory=list)

    @property
    def broken(self) -> list[str]:
        """Every promise that was broken, those about time as well."""
        return self.violations + self.untimely
