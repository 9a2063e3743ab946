"""What a consumer does with records that are no events, by its policy `on_bad_record`."""

import logging
from collections.abc import Callable
from typing import Final, Literal

from ..journal.errors import UnreadableRecord
from .limits import BAD_RECORDS_TOLD_MAX

BadRecordPolicy = Literal["raise", "skip"] | Callable[[UnreadableRecord], object]

logger: Final = logging.getLogger("journeyman")


class BadRecords:
    """Counts the bad records of one stream, each once, and does with them what `policy` says."""

    def __init__(self, policy: BadRecordPolicy, who: str) -> None:
        self.count = 0
        self._policy = policy
        self._who = who
        self._counted: dict[int, int] = {}

    @property
    def raises(self) -> bool:
        """Whether a bad record is an error for the caller."""
        return self._policy == "raise"

    def note(self, bad: UnreadableRecord) -> None:
        """Pass over one: once for each, however often a stream that was interrupted reads it."""
        if bad.offset <= self._counted.get(bad.partition, -1):
            return
        if callable(self._policy):
            self._policy(bad)
        elif self.count < BAD_RECORDS_TOLD_MAX:
            logger.warning("%s leaves out a bad record: %s", self._who, bad)
        self._counted[bad.partition] = bad.offset
        self.count += 1


def checked_policy(policy: object) -> BadRecordPolicy:
    """Refuse what is no policy."""
    if policy is None:
        return "raise"
    if policy in ("raise", "skip") or callable(policy):
        return policy
    raise ValueError(
        f"on_bad_record is 'raise', 'skip' or something to call with each bad record's error, got {policy!r:.80}"
    )
