"""The limits of tasks, their state and their index, each named with its unit last."""

from typing import Final

from ..journal.limits import EVENT_BYTES_MAX, EVENT_OVERHEAD_BYTES_MAX, KEY_CHARS_MAX, KIB, MIB

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
SERIALIZER_NAME_CHARS_MAX: Final = 40
# The largest encoded result that stands in the event of its success; a larger one is refused, or split.
RESULT_EVENT_BYTES_MAX: Final = EVENT_BYTES_MAX - 8 * KIB - EVENT_OVERHEAD_BYTES_MAX
# The largest encoded result of all, split over events of its own, and what each of these holds of it. Such a piece can
# take twice as much in its event, since JSON writes a quotation mark in two characters.
RESULT_BYTES_MAX: Final = 64 * MIB
RESULT_PART_BYTES: Final = 480 * KIB
# How often the progress of one running task is written at most; between these the latest report replaces the others.
PROGRESS_EVENTS_PER_SECOND: Final = 10
# How long a task's progress is written at that rate, in seconds; from then on the interval grows with the time that the
# task runs, up to the other, in seconds. So a task of an hour writes some 3,000 reports, one of a day some 11,000.
PROGRESS_FULL_RATE_SECONDS: Final = 60.0
PROGRESS_INTERVAL_SECONDS_MAX: Final = 10.0
SCHEDULE_MISSED_COUNTED_MAX: Final = 1_000  # ticks of one schedule that an overview counts
PROGRESS_TEXT_CHARS_MAX: Final = 500
PROGRESS_VALUE_BYTES_MAX: Final = 16 * KIB
# The labels of a message: the length of its summary and of each tag, and how many tags it may have.
SUMMARY_CHARS_MAX: Final = 200
TAG_CHARS_MAX: Final = 60
TAGS_MAX: Final = 16
# How many links follow the first message of a chain at most: each is nested in the one before.
CHAIN_LINKS_MAX: Final = 100
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
assert 2 * RESULT_PART_BYTES <= RESULT_EVENT_BYTES_MAX, "a part of a result fits its event"
assert TASK_ID_CHARS_MAX <= KEY_CHARS_MAX, "a task's id is its key"
assert SCHEDULE_NAME_CHARS_MAX + 40 <= TASK_ID_CHARS_MAX, "a tick's id has room for the moment behind the name"

# How many queues metrics name one by one, the deepest; the others are counted together.
METRIC_QUEUES_MAX: Final = 500

# The task index writes a batch when it has so many events; a look-up keeps fewer of them in memory.
INDEX_BATCH_EVENTS: Final = 5_000
# The batch size if the index is at least that far behind: ids that callers chose are spread over all pages of the tree,
# and the larger the batch, the fewer times each page is written.
INDEX_LONG_BATCH_EVENTS: Final = 25_000
# How long a writer of the index waits for the lock of another one, in seconds; after that it tries again later.
INDEX_BUSY_SECONDS_MAX: Final = 0.5
# How often a process that opens the index tries again while another one creates it, in seconds.
INDEX_RETRY_SECONDS: Final = 0.002
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
# How many of its last submissions a process remembers, once and at most twice that: a wait for one of these follows the
# log from there, if it then reads at most so many events of others before it, and looks nothing up.
RECENT_SUBMISSIONS: Final = 1_000
RECENT_EVENTS_MAX: Final = 100

# How long the owner of a lock may be silent, in seconds, before another process may expire its request; and the least
# that may be asked for.
LOCK_LEASE_SECONDS: Final = 15.0
LOCK_LEASE_SECONDS_MIN: Final = 0.05
# A lease of a lock is renewed when this part of it has passed since the last renewal.
LOCK_RENEWAL_FRACTION: Final = 1 / 3
# By how much the silence of an owner grows at most from one observation to the next, as a fraction of its lease: so an
# outage of the journal, in which no owner can renew its lease, expires no lock by itself.
LOCK_SILENCE_STEP_FRACTION: Final = 0.5
# How long a lock may be held, in ms, unless its user says otherwise.
LOCK_TTL_MS_DEFAULT: Final = 3_600_000
LOCK_NAME_CHARS_MAX: Final = 200
LOCK_OWNER_CHARS_MAX: Final = 500
LOCK_CAPACITY_MAX: Final = 1_000_000
# The thread that renews leases ends when there was nothing to renew for so many seconds.
LOCK_KEEPER_IDLE_SECONDS: Final = 5.0
# How many leases are renewed in one append.
LOCK_RENEWALS_MAX: Final = 500

assert LOCK_NAME_CHARS_MAX <= KEY_CHARS_MAX, "a lock's name is the key of its events"
assert 2 * LOCK_RENEWAL_FRACTION < 1, "a renewal may be missed once"
assert LOCK_RENEWAL_FRACTION < LOCK_SILENCE_STEP_FRACTION, "the silence between two renewals counts in full"
assert LOCK_RENEWAL_FRACTION + LOCK_SILENCE_STEP_FRACTION < 1, "after an outage a living owner has time to renew"

# How long a task waits between its attempts, in ms: the defaults of the reference task queue.
BACKOFF_FLOOR_MS_DEFAULT: Final = 60_000
BACKOFF_CEILING_MS_DEFAULT: Final = 3_600_000
CONSTANT_WAIT_MS_DEFAULT: Final = 60_000
LINEAR_FACTOR_MS_DEFAULT: Final = 30_000
EXPONENTIAL_WAIT_MS_DEFAULT: Final = 40_000

assert BACKOFF_FLOOR_MS_DEFAULT <= CONSTANT_WAIT_MS_DEFAULT <= BACKOFF_CEILING_MS_DEFAULT, "a default within the bounds"

# How much of an error's text a raised `TaskFailedError`, and a finding of `why`, contains, in characters.
FAILURE_TEXT_CHARS_MAX: Final = 500
FINDING_TEXT_CHARS_MAX: Final = 300
# How long the end of a journal waits for the page that is being indexed, in seconds.
INDEX_STOP_SECONDS_MAX: Final = 5.0
# A batch that cannot be written, as another process writes, grows by so many ordinary ones; then it is discarded.
INDEX_BATCHES_WAITING_MAX: Final = 4
# How many tasks one transaction examines when retention has removed history.
INDEX_PRUNE_TASKS: Final = 5_000
# How many characters of a task's id must be given: of a part with a dash or without a letter, and of any other.
SHORT_ID_CHARS_MIN: Final = 4
BARE_ID_CHARS_MIN: Final = 8
# A text as long as a UUID is a whole id.
UUID_CHARS: Final = 36
# How many tasks an error names for which a part of an id stands.
SHORT_ID_TASKS_SHOWN: Final = 8
# How many tasks a part of an id may stand for before the index stops looking.
SHORT_ID_TASKS_MAX: Final = 1_000
# How many sessions the end of a worker's id may stand for before the index stops looking.
SHORT_ID_SESSIONS_MAX: Final = 200
# How many of the last events of a partition are examined for a clock that is ahead.
CLOCK_SAMPLE_EVENTS: Final = 20
# How many dead letters are read together with their errors.
DEAD_LETTERS_STEP_TASKS: Final = 1_000
# How many submissions are read together for their labels.
LABELS_STEP_TASKS: Final = 1_000
# How many dead letters a summary names.
DEAD_LETTERS_SHOWN: Final = 3
# How many ids `why` suggests for an unknown one, and how many characters of it must have been given.
SUGGESTED_IDS_SHOWN: Final = 3
SUGGESTION_CHARS_MIN: Final = 4
# If an idle worker has left a due task alone for so many seconds, `why` says that the worker is doubtful.
DOUBT_SECONDS: Final = 5.0
# A span of so many days or more is shown as a power of ten.
READABLE_DAYS_MAX: Final = 10_000_000
# How many events retention reads at a time.
RETENTION_STEP_EVENTS: Final = 2_000
# The tombstones of ended tasks are pruned every so many offsets.
ENDED_PRUNE_EVENTS: Final = 4_096
# For how many kinds of tasks (name, queue, priority and so on) a fold shares one object.
TASK_KINDS_REMEMBERED: Final = 4_096
# The memory that a waiting task's submission takes beside its own bytes: the object's header, the allocator's rounding,
# and its entry.
ROW_OVERHEAD_BYTES: Final = 80

assert SHORT_ID_CHARS_MIN <= BARE_ID_CHARS_MIN, "a part that may be a word is longer"
assert ENDED_PRUNE_EVENTS < ENDED_TASK_EVENTS, "the tombstones kept too long are few"
assert INDEX_BATCHES_WAITING_MAX * INDEX_BATCH_EVENTS <= INDEX_LONG_BATCH_EVENTS, "a batch that waits stays bounded"
# How often a scanner looks for the tasks of silent workers, in hours, if no trigger is given.
SCAN_HOURS_DEFAULT: Final = 1

LEASE_MS_DEFAULT: Final = 15_000
LEASE_MS_MIN: Final = 500
LEASE_MS_MAX: Final = 24 * 60 * 60 * 1_000
# A session is renewed when a third of its lease has passed in silence.
LEASE_RENEWAL_FRACTION: Final = 1 / 3
# Only an append reveals that the journal was unavailable. So an observer appends a beat after this fraction of a silent
# holder's lease, and leaves the holder the rest of the lease from the moment at which that beat has landed.
LEASE_PROOF_FRACTION: Final = 0.5
# How long a live holder may take at most to reach the journal again after an outage, in seconds: a request to a broker
# that has stopped times out after so long.
LEASE_RECOVERY_SECONDS: Final = 2.0
# By how much the silence of others grows at most from one observation to the next, as a fraction of the worker's lease:
# any more was spent waiting for an unavailable journal.
WATCH_STEP_FRACTION: Final = 1 / 12
# How often the sessions of other workers are observed while they hold claims, in seconds.
WATCH_INTERVAL_SECONDS: Final = 0.1

assert LEASE_RENEWAL_FRACTION < LEASE_PROOF_FRACTION, "a living holder has tried to renew by then"
assert WATCH_STEP_FRACTION < LEASE_RENEWAL_FRACTION / 2, "several unnoticed outages leave a holder time to renew"
assert LEASE_PROOF_FRACTION <= 0.5, "what a living holder tries to append has as long again to land"

# Trends: how many buckets a window has, and how many queues have a series of their own.
TREND_BUCKETS_MAX: Final = 2_000
TREND_QUEUES_MAX: Final = 200
# Of one bucket and of a whole window: how many kinds of failures are told apart, how many of the slowest runs are kept,
# and how many expired workers are named; the others are counted.
FAILURE_KINDS_KEPT: Final = 500
SLOWEST_RUNS_KEPT: Final = 20
EXPIRED_WORKERS_KEPT: Final = 200
# By what fraction a percentile of a histogram may differ from the exact one, and the spans that it tells apart.
HISTOGRAM_ERROR_FRACTION: Final = 0.02
HISTOGRAM_SECONDS_MIN: Final = 1e-6
HISTOGRAM_SECONDS_MAX: Final = 1e9
# In how many buckets a window is divided if no width is given.
TREND_BUCKETS_DEFAULT: Final = 96
# The steps in which events are stamped, in seconds.
TIME_STEP_SECONDS: Final = 1e-6
# A service whose listener has not checked in for longer than its time-out, in seconds, may be away.
SERVICE_TIMEOUT_SECONDS_DEFAULT: Final = 30.0
# How many finished jobs of each service are listed: those that were submitted last.
FINISHED_JOBS_KEPT: Final = 10_000
