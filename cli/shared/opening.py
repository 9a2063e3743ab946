"""Opening a journal for a command."""

from collections.abc import Iterator
from contextlib import contextmanager

from ...journal.journal import Journal
from ...journal.memory.log import MemoryLog
from .failures import BadInput


def shared_journal(url: str | None, *, create: bool = True) -> Journal:
    """The journal of that URL, not opened yet; refused if no other process could share it."""
    journal = Journal(url, create=create)
    if isinstance(journal.asynchronous.log, MemoryLog):
        raise BadInput(f"{journal.url} lives inside one process, and this is another one; name a file or a Kafka topic")
    return journal


@contextmanager
def existing_journal(url: str | None) -> Iterator[Journal]:
    """Open the journal of that URL for reading; one that does not exist is refused, never created."""
    with shared_journal(url, create=False) as journal:
        yield journal
