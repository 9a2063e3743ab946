"""The limits of the log on SQLite, each named with its unit last."""

from typing import Final

from ..limits import BATCH_EVENTS_MAX, KIB, MIB

# The page size of a journal's file. Compared with 4 KiB, a batch costs a tenth less, a scan a fifth, a commit the same.
SQLITE_PAGE_BYTES: Final = 8 * KIB
# The largest record, in bytes, that a writer sends in a notice, which saves its readers the read of the file.
NOTICE_ROW_BYTES_MAX: Final = 2 * KIB
# How long an append waits for commits of other threads and processes before it fails, in seconds.
WRITE_LOCK_SECONDS_MAX: Final = 30.0
# How often an append that waits for a shared commit checks that a thread is committing the queue, in seconds.
QUEUE_CHECK_SECONDS: Final = 1.0
# How long to wait for a program that locks the file without using the write lock, such as an SQL shell, in seconds.
FOREIGN_LOCK_SECONDS_MAX: Final = 5.0
# The most events, about, of the concurrent appends of one process that share a commit.
COMMIT_EVENTS_MAX: Final = 20_000
# How long a directory must be unchanged, in seconds, before its unchanged time proves that its files are the same: a
# local file system's times have a resolution of 2 s at worst.
QUIET_DIRECTORY_SECONDS: Final = 2.1
# The same if the directory's time shows a fraction of a second: such times advance with the system's clock ticks, which
# are at most 0.01 s long.
FINE_TIMES_QUIET_SECONDS: Final = 0.05
# How often the names are compared in any case, in seconds.
NAMES_CHECK_SECONDS: Final = 0.1
# How many records of others, from notices, a process keeps for its next lone append.
FOLLOWED_ROWS: Final = 16
# How many times one append or read reopens the connections after the files beside the database were removed.
RENEWALS_MAX: Final = 5
# The number of pages at which the write-ahead log is checkpointed.
WAL_PAGES_MAX: Final = 1_000
# How many rows a process inserts, in small commits, between two measurements of the write-ahead log.
WAL_MEASURED_ROWS: Final = 32
# The most bytes at the log's end that are rewritten from a `-wal` that was removed while it was open.
RESCUE_BYTES_MAX: Final = 32 * MIB

assert BATCH_EVENTS_MAX <= COMMIT_EVENTS_MAX, "one append must fit one commit"

# The number of SQLite pages that a backup copies between two progress reports.
COPY_PAGES: Final = 1_000

# How many positions one search, or one removal, covers in a transaction: a long read would prevent checkpoints of the
# write-ahead log, and a long write would hold up the other writers.
SEARCH_STEP_POSITIONS: Final = 50_000
TRIM_STEP_POSITIONS: Final = 10_000
# For how many of its own transactions a process remembers the end of the log: a repeated append is searched from there.
TRANSACTIONS_REMEMBERED: Final = 1_024
# With more expected keys than these, each row is decoded once instead of being searched for each key.
KEYS_SEARCHED_MAX: Final = 4
# How often a file that another program locks for a moment is tried again, in seconds, and how often the locks of the
# open file are.
OPEN_RETRY_SECONDS: Final = 0.001
GUARD_RETRY_SECONDS: Final = 0.002
# How often a file is opened anew if another one took its place meanwhile.
OPENINGS_MAX: Final = 10

assert OPEN_RETRY_SECONDS < GUARD_RETRY_SECONDS < FOREIGN_LOCK_SECONDS_MAX, "a locked file is tried more than once"
