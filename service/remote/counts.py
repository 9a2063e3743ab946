"""Counts of what remote workers have done through this process, for its metrics."""

import msgspec

from ...tasks.state import names

_KINDS = {
    names.SUCCEEDED: "succeeded",
    names.FAILED: "failed",
    names.RETRIED: "retried",
    names.INTERRUPTED: "interrupted",
}


class RemoteCounts(msgspec.Struct):
    """The counts since the process started; a worker may use several processes, so only their sum is about it."""

    claimed: int = 0
    lost_claims: int = 0
    succeeded: int = 0
    failed: int = 0
    retried: int = 0
    interrupted: int = 0
    refused: int = 0
    expired_sessions: int = 0

    def claims(self, asked: int, won: int) -> None:
        """Count claims, and how many of them were accepted."""
        self.claimed += won
        self.lost_claims += asked - won

    def outcome(self, event: str, *, accepted: bool) -> None:
        """Count the outcome of a run by the name of its event."""
        kind = _KINDS[event] if accepted else "refused"
        setattr(self, kind, getattr(self, kind) + 1)
