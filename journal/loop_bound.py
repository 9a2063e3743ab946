"""Refuses the use of a log whose connections belong to another process, or to an event loop that has ended."""

import asyncio

from .errors import JournalClosed, JournalUnavailable


def check_usable(url: str, loop: asyncio.AbstractEventLoop | None, *, is_parents: bool, is_closed: bool) -> None:
    """Raise `JournalUnavailable` in a forked child, `JournalClosed` after a close or the end of the log's loop.

    `is_parents` says whether this process was forked from the one that opened the log.
    """
    if is_parents:
        raise JournalUnavailable(
            f"this process was forked from one that has {url!r} open and must not use its connections: "
            "open the journal here, and create new readers"
        )
    if is_closed:
        raise JournalClosed(f"the journal {url} is closed; open it again to go on")
    if loop is not None and loop.is_closed():
        raise JournalClosed(
            f"the journal {url} was opened in an event loop that has been closed: create an AsyncJournal in "
            "each asyncio.run(), or use a Journal, which runs its own loop"
        )
