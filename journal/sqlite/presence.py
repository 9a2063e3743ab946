"""Whether the file that was opened is still the one at its path.

Whoever has it open does not notice when it is removed or replaced: what is appended to a file without a name is lost
with the last process that has it open, and what others append to the new one is never read in the old one.
"""

import os
import time
from collections.abc import Callable

import apsw

from ..errors import JournalGone, JournalUnavailable
from ..limits import FILE_CHECK_SECONDS


class Presence:
    """The file that is at `path` as this is made; `OSError` if there is none.

    Until the monotonic time `good_until` nobody looks again.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._inode = _inode_at(path)
        self.good_until = 0.0

    def check(self) -> None:
        """Raise `JournalGone` if the file was removed or replaced; looks at most every `FILE_CHECK_SECONDS`."""
        if time.monotonic() >= self.good_until:
            self._look()

    def connect(self, connect: Callable[[], apsw.Connection]) -> apsw.Connection:
        """A new connection, and to this file: by its path another one may be opened at any moment."""
        self._look()
        connection = connect()
        try:
            self._look()
        except BaseException:
            connection.close()
            raise
        return connection

    def _look(self) -> None:
        now = time.monotonic()
        try:
            there = _inode_at(self._path) == self._inode
        except (FileNotFoundError, NotADirectoryError):
            there = False
        except OSError as error:
            if error.errno is None:
                raise  # the TimeoutError of a signal's handler, which is no answer of the system
            raise JournalUnavailable(
                f"the journal's file {self._path} cannot be looked at: {error.strerror}. Try again later."
            ) from error
        if not there:
            raise JournalGone(
                f"the journal's file {self._path} was removed or replaced while it was open; nothing more is read "
                "from the old one or appended to it. Close the journal and open it again; a worker is started again."
            )
        self.good_until = now + FILE_CHECK_SECONDS


def _inode_at(path: str) -> tuple[int, int]:
    status = os.stat(path)  # noqa: PTH116 - on the path of many a commit and read
    return status.st_dev, status.st_ino
