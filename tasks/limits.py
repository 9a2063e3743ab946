"""The limits of tasks, their state and their index, each named with its unit last."""

from typing import Final

from ..journal.limits import KEY_CHARS_MAX, KIB, MIB

# The bytes of waiting tasks' submissions that a worker keeps: of the oldest tasks, and beyond these of the newest ones.
# The others are read again by position when the tasks are claimed.
KEPT_ROWS_BYTES_MAX: Final = 24 * MIB
NEWEST_ROWS_BYTES_MAX: Final = 2 * MIB
# For how many offsets after a task's end, in its partition, a second submission of its id is refused.
ENDED_TASK_EVENTS: Final = 150_000
# How many dead letters of a partition a view keeps, to count and list them; any that the log holds can be requeued.
DEAD_LETTERS_KEPT: Final = 100_000
# How many submissions in doubt a broker keeps, so that submitting the same message again repeats the same task.
SUBMISSIONS_IN_DOUBT_MAX: Final = 10_000
TASK_ID_CHARS_MAX: Final = 200
TASK_TIMEOUT_MS_DEFAULT: Final = 3_600_000
MAX_RETRIES_DEFAULT: Final = 3
DRAIN_SECONDS_DEFAULT: Final = 30.0
THREADS_DEFAULT: Final = 8
THREADS_MAX: Final = 1_024
# The id of a tick's task is made of the schedule's name, the tick, and a number where there are several partitions.
SCHEDULE_NAME_CHARS_MAX: Final = 160
# The encoded message of a schedule: every process that follows the queue holds it, and each snapshot.
SCHEDULE_MESSAGE_BYTES_MAX: Final = 64 * KIB
SCHEDULE_GRACE_MS_DEFAULT: Final = 60_000
SCHEDULE_GRACE_MS_MIN: Final = 1_000
SCHEDULE_GRACE_MS_MAX: Final = 366 * 24 * 60 * 60 * 1_000
SCHEDULE_INTERVAL_MS_MIN: Final = 100
# How many ticks of one schedule are fired in one append.
SCHEDULE_TICKS_MAX: Final = 100

assert ENDED_TASK_EVENTS <= 2 * DEAD_LETTERS_KEPT, "a dead letter is known for as long as its id is to be refused"
assert TASK_ID_CHARS_MAX <= KEY_CHARS_MAX, "a task's id is its key"
assert SCHEDULE_NAME_CHARS_MAX + 40 <= TASK_ID_CHARS_MAX, "a tick's id has room for the moment behind the name"

# The task index writes a batch when it has so many events; a look-up keeps fewer of them in memory.
INDEX_BATCH_EVENTS: Final = 5_000
# The batch size if the index is at least that far behind: ids that callers chose are spread over all pages of the tree,
# and the larger the batch, the fewer times each page is written.
INDEX_LONG_BATCH_EVENTS: Final = 25_000
# How long a writer of the index waits for the lock of another one, in seconds; after that it tries again later.
INDEX_BUSY_SECONDS_MAX: Final = 0.5
# A reader that finds the index so many events behind logs that catching up takes a while.
INDEX_NEWS_EVENTS: Final = 500_000
# A look-up that finds more events than that behind the index searches them for its own task, if the log supports it,
# and has a thread index them; a program that submits has a thread index them after so many submissions.
INDEX_SEARCH_EVENTS: Final = 2_000
# The time in a task's id, minus so many seconds, is assumed to be before its submission by the log's clock.
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
