"""Gives the files beside a database the database's owner and permissions, so that its writers can use them.

The process that opens a journal may run as another user than its writers, such as an administrator who reads it, and
the database may get another owner. Without this module, the files that such a process creates beside the database would
belong to the wrong user and lock out the writers.
"""

import contextlib
import os
import stat

_WRITERS = stat.S_IWGRP | stat.S_IWOTH


def share(path: str, database: str, *, exactly: bool = False) -> None:
    """Give the file or directory at `path` the database's owner and group, and let the same users write.

    As far as this user may: only the superuser can change the owner. `exactly` also revokes all other permissions that
    the process's umask may have left.
    """
    with contextlib.suppress(OSError):
        wanted, found = os.stat(database), os.lstat(path)  # noqa: PTH116 - the paths are strings
        if (found.st_uid, found.st_gid) != (wanted.st_uid, wanted.st_gid):
            owner = wanted.st_uid if os.geteuid() == 0 else -1
            with contextlib.suppress(OSError):
                os.chown(path, owner, wanted.st_gid, follow_symlinks=False)
        mode = _mode(found.st_mode, wanted.st_mode & _WRITERS, exactly=exactly)
        if mode != stat.S_IMODE(found.st_mode) and not stat.S_ISLNK(found.st_mode):
            os.chmod(path, mode)  # noqa: PTH101


def _mode(mode: int, writers: int, *, exactly: bool) -> int:
    """The mode that lets the users in `writers` read and write, and enter a directory."""
    entered = 0o7 if stat.S_ISDIR(mode) else 0o6
    added = (entered << 3 if writers & stat.S_IWGRP else 0) | (entered if writers & stat.S_IWOTH else 0)
    return (stat.S_IMODE(mode) & 0o700 if exactly else stat.S_IMODE(mode)) | added
