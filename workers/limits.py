"""The limits of worker processes, each named with its unit last, and the relations between them."""

from typing import Final

from ..journal.limits import BATCH_BYTES_MAX, BATCH_EVENTS_MAX, EVENT_BYTES_MAX, EVENT_OVERHEAD_BYTES_MAX, KIB, MIB
from ..tasks.limits import LEASE_MS_MIN, LEASE_RENEWAL_FRACTION, RESULT_EVENT_BYTES_MAX

# How many claimed tasks one executor holds at most, running and waiting; or one for each place, if it has more places.
CLAIMS_MAX: Final = 512
# How long the end of a process waits for its spans to be exported, in seconds.
SPANS_FLUSH_SECONDS_MAX: Final = 2.0
# How much work a worker claims ahead of its free threads, in seconds of its own recent pace.
CLAIM_AHEAD_SECONDS: Final = 0.05
# How long the worker loop yields to the thread that runs a lone job, in seconds.
STAND_ASIDE_SECONDS: Final = 0.002
# A claimed task that no thread has started within so many seconds is given back.
CLAIM_IDLE_SECONDS_MAX: Final = 1.0
# How long a worker leaves a task to the worker whose turn it is, in seconds, before it steals the task.
STEAL_DELAY_SECONDS: Final = 0.02
# Or as long as this many of its own recent appends take, if that is more: then the other's claim takes long, too.
STEAL_DELAY_APPENDS: Final = 8
STEAL_DELAY_SECONDS_MAX: Final = 0.2
STEAL_TASKS_MAX: Final = 16
# While others run, outcomes wait at most this long, in seconds, to share an append.
OUTCOME_LINGER_SECONDS: Final = 0.005
# In a stream of tasks handed in one by one a worker claims once in so many seconds; where appends take long, less
# often, down to once in the maximum.
COMMIT_PACE_SECONDS: Final = 0.005
COMMIT_PACE_SECONDS_MAX: Final = 0.02
# This many outcomes are committed at once, without waiting for the pace.
COMMIT_OUTCOMES_ENOUGH: Final = 64

# No work starts after this fraction of a lease has passed in silence.
LEASE_START_FRACTION: Final = 0.8
# The longest pause between two attempts of a failed call to the journal: a fraction of the lease, and in seconds. It is
# short, since the failure detectors of others rely on it that the retried append of a live holder lands soon.
RETRY_LEASE_FRACTION: Final = 0.05
RETRY_SECONDS_MAX: Final = 0.125
# How often a worker looks, at least, for idle workers of its machine that ended without leaving, in seconds.
DEAD_PROCESSES_SECONDS: Final = 10.0
# A second signal within so many seconds of the first is its echo: too soon to be a second request.
SIGNAL_ECHO_SECONDS: Final = 0.2
# How long a worker that is stopped before it is ready tries to leave, in seconds.
STOP_UNSTARTED_SECONDS: Final = 1.0
# How long a worker that has nothing in hand tries to say that it leaves, in seconds.
STOP_IDLE_SECONDS: Final = 2.0
# How many seconds after a worker should have given up by itself its process is forced to exit.
FORCED_EXIT_SECONDS: Final = 1.0
# A worker logs at most so many failures one by one in so many seconds, retries apart; of the others it logs the count.
FAILURE_LINES_MAX: Final = 10
FAILURE_LINES_SECONDS: Final = 1.0
# How much of a failure's reason such a line contains, in characters.
FAILURE_CHARS_MAX: Final = 500
# How many characters of task names a worker's `joined` event lists at most.
WORKER_TASKS_CHARS_MAX: Final = 64 * KIB
# How often a worker publishes its health and the reporter judges it, in seconds.
HEALTH_INTERVAL_SECONDS: Final = 1.0
# A loop that has not turned for so many seconds is unhealthy; longer than a fail-over of the journal takes.
HEALTH_TURN_SECONDS_MAX: Final = 10.0
# A worker that has events to apply and applies none for so many seconds is unhealthy.
HEALTH_PROGRESS_SECONDS_MAX: Final = 10.0
# How long one HTTP request may take, in seconds.
HEALTH_REQUEST_SECONDS_MAX: Final = 5.0
# How often running tasks are compared with their timeouts, in ms.
ENFORCE_MS_DEFAULT: Final = 100
# How often the session of a Consumer looks, without other cause, which of its claims have ended, in ms.
CONSUMER_LOOK_MS: Final = 1_000
# A thread or coroutine that does not react to its timeout for so many seconds is abandoned and replaced.
ABANDON_SECONDS: Final = 5.0
# How long a task's own do_retry and retry_at may take, in seconds, where a timeout or a death has ended its job; and
# how long a hook after an outcome holds up the next ones, and a worker that leaves.
HOOK_SECONDS_MAX: Final = 5.0
# The longest period in which a waiting task gains a step of priority, in ms, and the largest weight of a queue.
PRIORITY_AGEING_MS_MAX: Final = 365 * 24 * 60 * 60 * 1_000
QUEUE_WEIGHT_MAX: Final = 1_000
# How many ticks are fired in one append, so that a thousand schedules due at once take few.
SCHEDULES_FIRED_MAX: Final = 250
# The largest size of the two events of a tick beside the message of its schedule, in bytes.
TICK_BYTES_MAX: Final = 8 * KIB
# How long a process waits for the next tick at most, in seconds, before it compares the clock again, which may be set.
SCHEDULE_WAIT_SECONDS_MAX: Final = 5.0
COROUTINES_DEFAULT: Final = 100
COROUTINES_MAX: Final = 10_000
PROCESSES_MAX: Final = 256
# A child process is replaced after so many tasks, or when it has grown by so much.
CHILD_TASKS_MAX: Final = 100_000
CHILD_GROWTH_BYTES_MAX: Final = 512 * MIB
# A child that has not imported the tasks within so many seconds is killed and counts as a failed start.
CHILD_READY_SECONDS_MAX: Final = 180.0
# How long a child that has closed its stream may take to end, in seconds, before it is killed; and how long a closing
# worker waits for its killed children.
CHILD_END_SECONDS_MAX: Final = 1.0
# How many short tasks a child is handed at a time, and how long, in seconds, one of them may delay the others.
CHILD_CHUNK_TASKS_MAX: Final = 64
CHILD_STALL_SECONDS_MAX: Final = 0.05
# A child that has been idle for so many seconds is ended, down to the floor.
CHILD_IDLE_SECONDS_MAX: Final = 60.0

assert WORKER_TASKS_CHARS_MAX * 6 <= EVENT_BYTES_MAX // 2, "what a worker knows must fit the event of its joining"
assert HEALTH_INTERVAL_SECONDS * 3 < HEALTH_TURN_SECONDS_MAX, "one missed report must not count as unhealthy"
assert 2 * SCHEDULES_FIRED_MAX <= BATCH_EVENTS_MAX, "a tick takes two events"
assert CLAIMS_MAX <= BATCH_EVENTS_MAX, "all claims of a worker must fit one append"
assert LEASE_RENEWAL_FRACTION * 2 < LEASE_START_FRACTION, "a renewal may be missed once before work stops"
assert COMMIT_PACE_SECONDS_MAX * 1_000 < LEASE_MS_MIN * LEASE_RENEWAL_FRACTION / 4, "a pause delays no renewal by much"
# How much of an error a failed task's event stores, in characters, and the largest result, in bytes.
TEXT_CHARS_MAX: Final = 2 * KIB
TRACEBACK_CHARS_MAX: Final = 8 * KIB
# The largest submission of a link, which is appended with the result; the token of the claim is added to it.
LINK_BYTES_MAX: Final = RESULT_EVENT_BYTES_MAX
# The largest size of a worker's event beside its context, in bytes: name, key and the other fields.
ENTRY_BYTES_MAX: Final = 2 * KIB
# How much the newest job, and the newest append, counts in the average duration.
NEWEST_WEIGHT: Final = 0.1
# Jobs shorter than this, in seconds, are taken by few threads, each so many of them: waking a thread costs more than
# running them. A child process is handed several at a time if they are short for it, since a message costs more.
THREAD_SHORT_SECONDS: Final = 0.000_5
THREAD_SHORT_JOBS: Final = 64
CHILD_SHORT_SECONDS: Final = 0.001
# After so many jobs in a row that never waited, a runner of coroutines lets the rest of the event loop have its turn.
COROUTINE_ROW_JOBS_MAX: Final = 64
# A child process reports together what has ended, up to so many jobs or after so many seconds.
CHILD_REPORTS_MAX: Final = 64
CHILD_REPORT_SECONDS_MAX: Final = 0.005
# It does so only while each running task took less than this, in seconds, when it last ran.
CHILD_BRIEF_SECONDS: Final = 0.001
# How long to wait before another child is started after a failed start, in seconds: the first time and at most.
CHILD_RESPAWN_SECONDS_MIN: Final = 0.1
CHILD_RESPAWN_SECONDS_MAX: Final = 10.0
# How long to wait between two looks whether a child has ended, in seconds: the first time and at most. It may be about
# to end, or be held up by the system.
CHILD_LOOK_SECONDS_MIN: Final = 0.001
CHILD_LOOK_SECONDS_MAX: Final = 0.1
# How many bytes the sockets between a worker and its children hold, and how many one read takes.
CHILD_SOCKET_BYTES: Final = 1 * MIB
CHILD_READ_BYTES: Final = 256 * KIB
# How long after a deadline a silent group of threads is killed, in seconds: before that it can abandon the thread.
KILL_SECONDS: Final = 2 * ABANDON_SECONDS
# How many allocations a worker makes between two collections of garbage.
GARBAGE_ALLOCATIONS: Final = 50_000
# By how much of `INDEX_INTERVAL_SECONDS` workers of one file look at different moments: so one finds that another one
# has filled the index.
INDEX_SPREAD_SHARE: Final = 0.25
# How many warnings about other functions under its tasks' names a worker logs.
FUNCTION_WARNINGS_MAX: Final = 1_000
# How many names of tasks a line about them lists.
TASK_NAMES_SHOWN: Final = 8
# For how many kinds of tasks a worker remembers where they wait, and which workers claim them.
READY_KINDS_REMEMBERED: Final = 4_096
# How long the first pause after a failed call to the journal is, in seconds.
RETRY_SECONDS_MIN: Final = 0.05
# By how much, on average, the event loop's selector lengthens a wait, in seconds: it rounds up to the next millisecond.
WAIT_ROUNDING_SECONDS: Final = 0.000_5
# Two submissions no further apart than so many events are read together.
SUBMISSION_GAP_EVENTS: Final = 64
# How often the reference's pools look for a free slot, in ms; ours are notified, and ignore it.
SLOT_WAIT_MS_DEFAULT: Final = 50
# Over how many periods of the commit pace the rate of a stream is averaged, and which part of the time a worker spends
# in appends at most.
COMMIT_MEMORY_PERIODS: Final = 10
COMMIT_TIME_SHARE_MAX: Final = 0.5
# How often a worker commits in each period of the pace: once to claim, and once to settle what has ended by then.
COMMITS_PER_PERIOD: Final = 2
# In a stream the share of another worker is left alone for so many periods: it claims once in each.
STEAL_DELAY_PERIODS: Final = 3
# Tasks that are delayed are kept by spans of so many seconds, and sorted when their span begins.
DELAY_SPAN_SECONDS: Final = 60.0
# How many entries of tasks that wait no more the ready queue keeps beside as many as tasks wait, before it drops them.
READY_SWEEP_ENTRIES: Final = 1_024

# A character of a text takes at most six bytes in JSON.
assert 6 * (2 * TEXT_CHARS_MAX + TRACEBACK_CHARS_MAX) < EVENT_BYTES_MAX // 2, "an error fits its event"
assert RESULT_EVENT_BYTES_MAX + ENTRY_BYTES_MAX < EVENT_BYTES_MAX, "a result fits the event of its success"
assert 2 * (EVENT_BYTES_MAX + EVENT_OVERHEAD_BYTES_MAX) <= BATCH_BYTES_MAX, "an outcome and its link fit one append"
assert CHILD_BRIEF_SECONDS < CHILD_REPORT_SECONDS_MAX < CHILD_STALL_SECONDS_MAX, "reports delay no other job"
assert CHILD_RESPAWN_SECONDS_MIN <= CHILD_RESPAWN_SECONDS_MAX, "the first pause is not longer than the longest"
assert CHILD_LOOK_SECONDS_MIN <= CHILD_LOOK_SECONDS_MAX <= CHILD_END_SECONDS_MAX, "an ended child is noticed in time"
assert CHILD_READ_BYTES <= CHILD_SOCKET_BYTES, "one read takes no more than a socket holds"
assert RETRY_SECONDS_MIN <= RETRY_SECONDS_MAX, "the first pause is not longer than the longest"
assert KILL_SECONDS > ABANDON_SECONDS, "a group can abandon a thread before it is killed"
