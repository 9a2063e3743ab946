"""Opening a journal for a command."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..journal.memory.log import MemoryLog
from ..journal.sqlite.log import SqliteLog
from ..journal.synchronous import Journal
from .failures import BadInput


def shared_journal(url: str | None) -> Journal:
    """The journal of that URL, not opened yet; refused if no other process could share it."""
    journal = Journal(url)
    if isinstance(journal.asynchronous.log, MemoryLog):
        raise BadInput(f"{journal.url} lives inside one process, and this is another one; name a file or a Kafka topic")
    return journal


@contextmanager
def existing_journal(url: str | None) -> Iterator[Journal]:
    """The journal of that URL, open for reading. A file that is not there is refused: reading must not make one."""
    journal = shared_journal(url)
    log = journal.asynchronous.log
    if isinstance(log, SqliteLog) and not Path(log.path).exists():
        raise BadInput(f"there is no journal at {log.path}: expected a file that a worker or a producer has written to")
    with journal:
        yield journal
