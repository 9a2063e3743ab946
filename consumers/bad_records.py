"""Apply a consumer's policy `on_bad_record` to records that are not events."""

import logging
from collections.abc import Callable
from typing import Final, Literal

from ..journal.errors import UnreadableRecord
from .limits import BAD_RECORDS_TOLD_MAX

BadRecordPolicy = Literal["raise", "skip"] | Callable[[UnreadableRecord], object]

logger: Final = logging.getLogger("journeyman")


class BadRecords:
    """Counts the bad records of one stream, each once, and applies `policy` to them."""

    def __init__(self, policy: BadRecordPolicy, who: str) -> None:
        self.count = 0
        self._policy = policy
        self._consumer = who
        self._counted: dict[int, int] = {}

    @property
    def raises(self) -> bool:
        """Whether a bad record is an error for the caller."""
        return self._policy == "raise"

    def note(self, bad: UnreadableRecord) -> None:
        """Skip a bad record; an interrupted stream may read it again, but it is counted once."""
        if bad.offset <= self._counted.get(bad.partition, -1):
            return
        if callable(self._policy):
            self._policy(bad)
        elif self.count < BAD_RECORDS_TOLD_MAX:
            logger.warning("%s skips a bad record: %s", self._consumer, bad)
        self._counted[bad.partition] = bad.offset
        self.count += 1


def checked_policy(policy: object) -> BadRecordPolicy:
    """Return the policy, "raise" for None; `ValueError` if it is not a policy."""
    if policy is None:
        return "raise"
    if policy in ("raise", "skip") or callable(policy):
        return policy
    raise ValueError(
        f"on_bad_record is 'raise', 'skip' or a callable that takes each bad record's error, got {policy!r:.80}"
    )
