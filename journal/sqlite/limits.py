"""The limits of the log on SQLite, each named with its unit last."""

from typing import Final

from ..limits import BATCH_EVENTS_MAX, KIB, MIB

# Of a journal's file, in bytes. Against the usual 4 KiB, a batch costs a tenth less, a scan a fifth, a commit the same.
SQLITE_PAGE_BYTES: Final = 8 * KIB
# The largest record, in bytes, that a writer sends along when it rings, to spare its readers the look at the file.
NOTICE_ROW_BYTES_MAX: Final = 2 * KIB
# How long a writer waits for other processes' commits before it says the file is held, in seconds.
WRITE_LOCK_SECONDS_MAX: Final = 30.0
# How often one who waits for a shared commit looks whether anybody is at it, in seconds.
QUEUE_CHECK_SECONDS: Final = 1.0
# How long one waits for a program that locks the file without standing in that queue, such as an SQL shell, in seconds.
FOREIGN_LOCK_SECONDS_MAX: Final = 5.0
# The appends of one process that wait together share a commit, up to about this many events.
COMMIT_EVENTS_MAX: Final = 20_000
# How long a directory must be unchanged, in seconds, before its unchanged time proves that its files are the same: the
# coarsest times of a local file system are 2 s apart.
QUIET_DIRECTORY_SECONDS: Final = 2.1
# The same where the directory's time shows a fraction of a second: such times advance with the system's clock ticks, of
# which the longest take 0.01 s.
FINE_TIMES_QUIET_SECONDS: Final = 0.05
# How often the names are compared one by one even so, in seconds.
NAMES_CHECK_SECONDS: Final = 0.1
# How often one append or read makes the connections anew after the files beside the database were removed.
RENEWALS_MAX: Final = 5
# The write-ahead log is copied into the database once it has so many pages.
WAL_PAGES_MAX: Final = 1_000
# How many rows a process inserts, in small commits, until it measures the write-ahead log once more.
WAL_MEASURED_ROWS: Final = 32
# How much of the log's end is written again, in bytes, from a `-wal` that was removed while it was open.
RESCUE_BYTES_MAX: Final = 32 * MIB

assert BATCH_EVENTS_MAX <= COMMIT_EVENTS_MAX, "one append must fit one commit"

# Pages of SQLite that a backup copies between two reports of its progress.
COPY_PAGES: Final = 1_000
