"""Let asynchronous readers and submitters use a synchronous `Journal` as they use an `AsyncJournal`."""

from collections.abc import Coroutine
from typing import Any, TypeVar

from ..journal.async_journal import AsyncJournal
from ..journal.journal import Journal

T = TypeVar("T")


class JournalAccess:
    """Awaits coroutines of a journal in the caller's loop, also those of a `Journal`, which may have a loop of its own.

    `taker` is the name of the class that was given the journal; `TypeError` if it was given something else.
    """

    def __init__(self, journal: AsyncJournal | Journal, taker: str) -> None:
        if not isinstance(journal, AsyncJournal | Journal):
            raise TypeError(
                f"{taker}() takes an AsyncJournal or a Journal, got a value of type {type(journal).__name__}; pass "
                "the AsyncJournal(…) made of a URL, or broker.journal"
            )
        self._shell = journal if isinstance(journal, Journal) else None
        self.journal = journal.asynchronous if isinstance(journal, Journal) else journal

    async def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Await the coroutine in the journal's event loop; the caller's loop is not blocked."""
        return await (coroutine if self._shell is None else self._shell.run_async(coroutine))
