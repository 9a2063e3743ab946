"""Refuses a journal whose file has a second name, since each name would get a `-wal` of its own.

SQLite keeps a `-wal` and a `-shm` beside the database, named after it. If the database file alone is mounted, as by
`docker run -v shop.db:/data/shop.db`, or has a hard link, each name has its own pair: events acknowledged under one
name never reach the other. (A symbolic link is not a second name: a journal opens its target.)
"""

import contextlib
import glob
import re
from pathlib import Path
from typing import Final

from ..errors import NotAJournal

_MOUNTS: Final = Path("/proc/self/mountinfo")
_MOUNT_POINT_FIELD: Final = 4
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")


def check_placement(path: str) -> None:
    """Raise `NotAJournal` if the file at `path`, a real path, is a mount point or has a hard link."""
    with contextlib.suppress(FileNotFoundError):
        links = Path(path).stat().st_nlink
        if links > 1 and links - _kept_names(path) > 1:
            raise NotAJournal(
                f"expected one name for the journal {path}, but its file has {links} hard links: appends under the "
                f"other names would be lost. Remove them (find them with `find -samefile {path}`), or copy the file."
            )
    with contextlib.suppress(OSError):  # only Linux has this file
        if path in mount_points(_MOUNTS.read_text(errors="surrogateescape")):
            raise NotAJournal(
                f"expected the directory of the journal {path} to be mounted, but only the file is: the files that the "
                "journal keeps beside it would be missing on the other side, and appends would be lost. "
                f"Mount {Path(path).parent}."
            )


def _kept_names(path: str) -> int:
    """The number of hard links that a killed restore has left beside the journal; no process opens it by them."""
    journal = Path(path)
    return sum(each.samefile(journal) for each in journal.parent.glob(f"{glob.escape(journal.name)}.*"))


def mount_points(mountinfo: str) -> set[str]:
    """The mount points in the text of `/proc/self/mountinfo`, where some characters are escaped."""
    lines = [line.split(" ") for line in mountinfo.splitlines()]
    return {_plain(fields[_MOUNT_POINT_FIELD]) for fields in lines if len(fields) > _MOUNT_POINT_FIELD}


def _plain(field: str) -> str:
    return _ESCAPED.sub(lambda code: chr(int(code[1], 8)), field)
