"""The limits of tasks, their state and their index, each named with its unit last."""

from typing import Final

from ..journal.limits import KEY_CHARS_MAX, MIB

# What a worker keeps of the submissions of waiting tasks, in bytes: of the oldest ones, and beyond those of the newest
# ones. The others are read again by position when they are claimed.
KEPT_ROWS_BYTES_MAX: Final = 24 * MIB
NEWEST_ROWS_BYTES_MAX: Final = 2 * MIB
# For how many further offsets of its partition the id of a task that has ended is refused, if it is submitted again.
ENDED_TASK_EVENTS: Final = 150_000
# How many dead letters of a partition a view remembers, to count and to list; requeued can be any that the log holds.
DEAD_LETTERS_KEPT: Final = 100_000
# How many submissions of unknown fate a broker keeps, so that the same message handed in again is the same task.
SUBMISSIONS_IN_DOUBT_MAX: Final = 10_000
TASK_ID_CHARS_MAX: Final = 200
TASK_TIMEOUT_MS_DEFAULT: Final = 3_600_000
MAX_RETRIES_DEFAULT: Final = 3
DRAIN_SECONDS_DEFAULT: Final = 30.0
THREADS_DEFAULT: Final = 8
THREADS_MAX: Final = 1_024

assert ENDED_TASK_EVENTS <= 2 * DEAD_LETTERS_KEPT, "a dead letter is known for as long as its id is to be refused"
assert TASK_ID_CHARS_MAX <= KEY_CHARS_MAX, "a task's id is its key"

# The task index: a batch is written when it has so many events; a look-up keeps fewer of them in memory.
INDEX_BATCH_EVENTS: Final = 5_000
# So many where the index is at least that far behind: ids that callers chose lie all over it, and the larger the batch,
# the fewer times each of its pages is written.
INDEX_LONG_BATCH_EVENTS: Final = 25_000
# How long a writer of the index waits for another one, in seconds; then it goes on and tries again later.
INDEX_BUSY_SECONDS_MAX: Final = 0.5
# A reader that finds the index so many events behind logs that catching up takes a while.
INDEX_NEWS_EVENTS: Final = 500_000
# A look-up that finds more events than that behind the index looks for its own task among them, where the log can do
# that, and has a thread take them in; a program that submits has a thread take them in after so many.
INDEX_SEARCH_EVENTS: Final = 2_000
# The time of a task's id, less so many seconds, is before its submission by the log's clock.
INDEX_CLOCK_SECONDS: Final = 10.0
# How often a worker looks whether the index is behind, in seconds. While more events than that come between two looks
# it gives the index that share of its time, in a thread; on Kafka, where it has none for that, it leaves the index
# alone then, as long as it is not further behind than that.
INDEX_INTERVAL_SECONDS: Final = 0.25
INDEX_BUSY_EVENTS: Final = 2_500
INDEX_TIME_SHARE_MAX: Final = 0.03
INDEX_LAG_EVENTS_MAX: Final = 500_000
# Records of one task that stand so close together are read in one go, in positions between them.
INDEX_GAP_EVENTS_MAX: Final = 16
