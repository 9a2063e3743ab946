"""Whether to wait for others before a commit: those who append in the same pass of an event loop can share one."""

import asyncio
import threading


class GroupCommit(threading.local):
    """Who appends beside whom in the loop of this thread.

    Waiting takes one more pass of the loop, between a lone caller and its commit. So a lone caller commits at once; the
    next one in the same pass waits for the rest of it, and whoever comes after that waits as well, for as long as the
    commits waited for turn out to be shared.
    """

    _has_committed = False  # in this pass
    _is_usual = False

    def is_expected(self) -> bool:
        """Whether to let the others go first; asked once for each append."""
        if self._has_committed or self._is_usual:
            self._is_usual = True
            return True
        self._has_committed = True
        asyncio.get_running_loop().call_soon(self._begin_pass)
        return False

    def _begin_pass(self) -> None:
        self._has_committed = False

    def came(self, shared: bool) -> None:
        """What became of waiting: whether the commit was shared."""
        self._is_usual = shared
        self._has_committed = False  # a pass was waited for; where a loop ended in between, nobody else says so
