"""Decides whether an append waits for other appends of the same pass of the event loop, to share one commit."""

import asyncio
import threading


class GroupCommit(threading.local):
    """Detects concurrent appends in the loop of this thread.

    Waiting delays a commit by one pass of the loop. So the first append of a pass commits immediately; the next one in
    the same pass waits for the rest of it, and all later ones wait too, as long as the commits turn out to be shared.
    """

    _has_committed = False  # in this pass
    _is_usual = False

    def is_expected(self) -> bool:
        """Whether this append should wait for others of the pass; to be called once for each append."""
        if self._has_committed or self._is_usual:
            self._is_usual = True
            return True
        self._has_committed = True
        asyncio.get_running_loop().call_soon(self._begin_pass)
        return False

    def _begin_pass(self) -> None:
        self._has_committed = False

    def came(self, shared: bool) -> None:
        """Note whether the commit that an append has waited for was shared."""
        self._is_usual = shared
        self._has_committed = False  # the pass is over; `_begin_pass` never runs if the loop ended in between
