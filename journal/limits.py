"""Every limit, named with its unit last, and the relations between them.

A limit that is not here does not exist. The sizes are equal on every log, so that what fits a file today fits Kafka
tomorrow: an append is one record batch there, and a batch that the topic refuses would be refused for good.
"""

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

# One event, encoded, in bytes. Larger payloads belong in a store of their own, with a reference in the event.
EVENT_BYTES_MAX: Final = 1 * MIB
# What an event's fields other than name, key and context add to its encoded form, at most, in bytes.
EVENT_OVERHEAD_BYTES_MAX: Final = 256
# What an expected position adds to its record, at most, in bytes, beside its key.
CONDITION_BYTES_MAX: Final = 64
# One append to one partition: all of it or none of it becomes durable.
BATCH_BYTES_MAX: Final = 4 * MIB
BATCH_EVENTS_MAX: Final = 10_000
# What a Kafka topic must accept as one record batch: a whole append and the records' own overhead.
TOPIC_MESSAGE_BYTES_MIN: Final = BATCH_BYTES_MAX + 512 * KIB

# So many records that are no events are told of one by one in a worker's, a consumer's or a command's log.
BAD_RECORDS_TOLD_MAX: Final = 10

NAME_CHARS_MAX: Final = 200
# A writer's id: the log's own have 32.
WRITER_CHARS_MAX: Final = 64
# One line of an imported file, in bytes: an event with its key and context escaped.
LINE_BYTES_MAX: Final = 2 * EVENT_BYTES_MAX
KEY_CHARS_MAX: Final = 500
# How deep lists and objects in a context may lie in one another, the context itself counted: every encoder and decoder
# of JSON in use manages that, with the frames of a program above it.
CONTEXT_DEPTH_MAX: Final = 200
# How deep they may lie in a record that stands in a log; a deeper one counts as unreadable, for every reader.
RECORD_DEPTH_MAX: Final = 512
PARTITIONS_MAX: Final = 1_024
# The latest time an event can carry, and at which a task can be due, in seconds since 1970 (the year 2223): below it a
# float tells microseconds apart.
TIMESTAMP_SECONDS_MAX: Final = 8_000_000_000.0

# Of a journal's file, in bytes. Against the usual 4 KiB, a batch costs a tenth less, a scan a fifth, a commit the same.
SQLITE_PAGE_BYTES: Final = 8 * KIB

# Of a worker's process, in bytes: from which size on a block of memory is mapped, and so returned as soon as it is
# free, and how much an arena keeps free.
HEAP_MAPPED_BYTES_MIN: Final = 1 * MIB
HEAP_SPARE_BYTES_MAX: Final = 4 * MIB

# How often an open journal's topic is looked at, in seconds, to notice that it was deleted, made again or given more
# partitions; and how long it must be missing.
KAFKA_TOPIC_LOOK_SECONDS: Final = 5.0
KAFKA_TOPIC_MISSING_SECONDS: Final = 1.0

# How long a cursor beyond the end of a Kafka topic is waited for, in seconds: after a fail-over the end can lag behind
# what readers have been handed.
CURSOR_AHEAD_SECONDS_MAX: Final = 10.0

# Rows read at a time: 500 keeps a page under a millisecond and the memory of a reader flat.
PAGE_EVENTS: Final = 500

# A reader whose doorbell was lost still looks this often, in seconds.
DOORBELL_POLL_SECONDS: Final = 0.5
# The largest record, in bytes, that a writer sends along when it rings, to spare its readers the look at the file.
RING_ROW_BYTES_MAX: Final = 2 * KIB
# A caller's timeout beyond this, in seconds (ten years), waits for ever: the system's own calls overflow far later.
WAIT_SECONDS_MAX: Final = 10 * 365 * 86_400.0
# How long a writer waits for other processes' commits before it says the file is held, in seconds.
WRITE_LOCK_SECONDS_MAX: Final = 30.0
# How often one who waits for a shared commit looks whether anybody is at it, in seconds.
QUEUE_CHECK_SECONDS: Final = 1.0
# How long one waits for a program that locks the file without standing in that queue, such as an SQL shell, in seconds.
FOREIGN_LOCK_SECONDS_MAX: Final = 5.0
# The appends of one process that wait together share a commit, up to about this many events.
COMMIT_EVENTS_MAX: Final = 20_000
# A conditional append looks at most at so many events while it holds the file's lock; at those before, without it.
CONDITION_LOCKED_EVENTS: Final = 1_000
# How long a fork waits for statements under way, in seconds; if it was too short, its child cannot use the journal.
FORK_SECONDS_MAX: Final = 5.0
# How old the last comparison of the open files with those at their paths may be when a write begins, in seconds. Each
# append and each page is compared once more before it is acknowledged or handed out.
FILE_CHECK_SECONDS: Final = 0.001
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
# Times rise along a log up to so many seconds ahead of the writer's clock, as by a microsecond for each event of a
# batch; where the last time lies farther ahead, a clock was wrong, and the next event has its own clock's time.
CLOCK_STEP_SECONDS_MAX: Final = 1.0
# How far the clocks of two machines are believed to differ at most when a time is turned into a position, in seconds.
CLOCK_SKEW_SECONDS_MAX: Final = 300.0

assert EVENT_BYTES_MAX <= BATCH_BYTES_MAX, "one event must fit one append"
assert CONTEXT_DEPTH_MAX < RECORD_DEPTH_MAX, "what can be appended can be read"
assert BATCH_BYTES_MAX < TOPIC_MESSAGE_BYTES_MIN, "one append must fit one Kafka record batch"
assert TIMESTAMP_SECONDS_MAX < 2**33, "from there on the steps of a float are longer than a microsecond"
assert BATCH_EVENTS_MAX <= COMMIT_EVENTS_MAX, "one append must fit one commit"
assert PAGE_EVENTS <= BATCH_EVENTS_MAX, "a page is never larger than the largest append"

# What one crew holds claimed at most, in tasks, running and waiting; or one for each place, if it has more places.
CLAIMS_MAX: Final = 512
# How much work a worker claims ahead of its threads, in seconds of its own recent pace.
CLAIM_AHEAD_SECONDS: Final = 0.05
# How long a foreman with one short job in hand stands aside for the thread that runs it, in seconds.
STAND_ASIDE_SECONDS: Final = 0.002
# A claimed task that no thread came to for so long, in seconds, is given back.
CLAIM_IDLE_SECONDS_MAX: Final = 1.0
# How long a worker leaves a task to the worker whose turn it is, in seconds, before it takes it itself.
STEAL_DELAY_SECONDS: Final = 0.02
# Or for as long as so many of its own recent appends took, where that is more: then the other's claim takes long, too.
STEAL_DELAY_APPENDS: Final = 8
STEAL_DELAY_SECONDS_MAX: Final = 0.2
STEAL_TASKS_MAX: Final = 16
# While others run, outcomes wait for company in an append at most this long, in seconds.
OUTCOME_LINGER_SECONDS: Final = 0.005

# In a stream of tasks handed in one by one a worker commits once in so many seconds; where appends take long, once in
# twice as long as one of them, up to the maximum.
COMMIT_PACE_SECONDS: Final = 0.002
COMMIT_PACE_SECONDS_MAX: Final = 0.02
# So many outcomes are worth a commit at once.
COMMIT_OUTCOMES_ENOUGH: Final = 64

LEASE_MS_DEFAULT: Final = 15_000
LEASE_MS_MIN: Final = 500
LEASE_MS_MAX: Final = 24 * 60 * 60 * 1_000
# A session is renewed when a third of its lease has passed in silence; no work starts after 0.8 of it.
LEASE_RENEWAL_FRACTION: Final = 1 / 3
LEASE_START_FRACTION: Final = 0.8
# How long a worker waits at most before it tries again what the journal did not take: a fraction of its lease, and in
# seconds. Short, since others count on it that what a living holder has tried to append lands soon.
RETRY_LEASE_FRACTION: Final = 0.05
RETRY_SECONDS_MAX: Final = 0.125
# Nobody learns that the journal was away but by appending. So a watcher appends a sign of life after that fraction of a
# silent holder's lease, and leaves the holder the rest of it from the moment on at which that has landed.
LEASE_PROOF_FRACTION: Final = 0.5
# How long a living holder may take at most to reach the journal again after an outage, in seconds: a request that went
# to a broker that has stopped is given up after so long.
LEASE_RECOVERY_SECONDS: Final = 2.0
# By how much the silence of others grows at most from one observation to the next, as a fraction of the worker's lease:
# what is more was spent in waiting for a journal that does not work.
WATCH_STEP_FRACTION: Final = 1 / 12
# How often the sessions of other workers are looked at while they hold claims, in seconds.
WATCH_INTERVAL_SECONDS: Final = 0.1

# How often a worker looks, at least, for idle workers of its machine that ended without leaving, in seconds.
NEIGHBOURS_SECONDS: Final = 10.0

# Within how long, in seconds, a second signal is the echo of the first: too soon for anybody to have meant it.
SIGNAL_ECHO_SECONDS: Final = 0.2

# How long a worker that is stopped before it is ready tries to leave, in seconds.
STOP_UNSTARTED_SECONDS: Final = 1.0
# How long what still runs when a worker has left may take to end, in seconds, before it is left behind.
LET_GO_SECONDS: Final = 0.5
# How long after a worker should have given up by itself its process is ended, in seconds.
FORCED_EXIT_SECONDS: Final = 1.0

# A worker logs at most so many failures one by one in so many seconds, retries apart; of the others it logs the count.
FAILURE_LINES_MAX: Final = 10
FAILURE_LINES_SECONDS: Final = 1.0
# How much of a failure's reason is told there, in characters.
FAILURE_CHARS_MAX: Final = 500

# What a worker keeps of the submissions of waiting tasks, in bytes: of the oldest ones, and beyond those of the newest
# ones. The others are read again by position when they are claimed.
KEPT_ROWS_BYTES_MAX: Final = 24 * MIB
NEWEST_ROWS_BYTES_MAX: Final = 2 * MIB

# For how many further offsets of its partition the id of a task that has ended is refused, if it is submitted again.
ENDED_TASK_EVENTS: Final = 150_000
# How many dead letters of a partition a view remembers, to count and to list; requeued can be any that the log holds.
DEAD_LETTERS_KEPT: Final = 100_000

# What a worker says of the tasks it knows when it joins, at most, in characters of their names together.
WORKER_TASKS_CHARS_MAX: Final = 64 * KIB

# How many submissions of unknown fate a broker keeps, so that the same message handed in again is the same task.
SUBMISSIONS_IN_DOUBT_MAX: Final = 10_000
TASK_ID_CHARS_MAX: Final = 200
TASK_TIMEOUT_MS_DEFAULT: Final = 3_600_000
MAX_RETRIES_DEFAULT: Final = 3
DRAIN_SECONDS_DEFAULT: Final = 30.0
THREADS_DEFAULT: Final = 8
THREADS_MAX: Final = 1_024
# How often a worker publishes its vitals and they are judged, in seconds.
HEALTH_INTERVAL_SECONDS: Final = 1.0
# A loop that has not turned for so long, in seconds, is not well; longer than a fail-over of the journal takes.
HEALTH_TURN_SECONDS_MAX: Final = 10.0
# A worker that has something to apply and applies nothing for so long, in seconds, is not well.
HEALTH_PROGRESS_SECONDS_MAX: Final = 10.0
# How long one question over HTTP may take, in seconds.
HEALTH_REQUEST_SECONDS_MAX: Final = 5.0
# How often running tasks are compared with their timeouts, in ms.
ENFORCE_MS_DEFAULT: Final = 100
# A thread or coroutine that does not react to its timeout for so long, in seconds, is given up and replaced.
ABANDON_SECONDS: Final = 5.0
# How long a task's own do_retry and retry_at may take, in seconds, where a timeout or a death has ended its job.
HOOK_SECONDS_MAX: Final = 5.0
# The longest period in which a waiting task gains a step of priority, in ms, and the most a queue weighs at its turn.
PRIORITY_AGEING_MS_MAX: Final = 365 * 24 * 60 * 60 * 1_000
QUEUE_WEIGHT_MAX: Final = 1_000
COROUTINES_DEFAULT: Final = 100
COROUTINES_MAX: Final = 10_000
PROCESSES_MAX: Final = 256
# A child process is replaced after so many tasks, or when it has grown by so much.
CHILD_TASKS_MAX: Final = 100_000
CHILD_GROWTH_BYTES_MAX: Final = 512 * MIB
# A child that has not imported the tasks within so many seconds is killed and counts as one that does not start.
CHILD_READY_SECONDS_MAX: Final = 180.0
# How long a child that has closed its stream may take to end, in seconds, before it is killed, and a killed one as its
# worker leaves, before it is left behind.
CHILD_END_SECONDS_MAX: Final = 1.0
# How many short tasks a child is handed at a time, and how long, in seconds, one of them may hold the others up.
CHILD_CHUNK_TASKS_MAX: Final = 64
CHILD_STALL_SECONDS_MAX: Final = 0.05
# A child that has had nothing to do for so long, in seconds, is let go, down to the floor.
CHILD_IDLE_SECONDS_MAX: Final = 60.0

assert ENDED_TASK_EVENTS <= 2 * DEAD_LETTERS_KEPT, "a dead letter is known for as long as its id is to be refused"
assert WORKER_TASKS_CHARS_MAX * 6 <= EVENT_BYTES_MAX // 2, "what a worker knows must fit the event of its joining"
# A snapshot of a view is taken when so many events came since the newest one, and not before each event since then can
# pay for so many bytes of its state: so the cost of snapshots is bounded per event, however large the state.
SNAPSHOT_EVENTS: Final = 100_000
SNAPSHOT_BYTES_PER_EVENT: Final = 100
# So many of a view's snapshots are kept, the newest; and the one that history trimmed by retention begins with.
SNAPSHOTS_KEPT: Final = 3
# A view whose state is larger, in bytes before compression, is not kept: it replays.
SNAPSHOT_BYTES_MAX: Final = 512 * MIB
# On Kafka a snapshot is stored in parts of so many bytes.
SNAPSHOT_PART_BYTES: Final = 1 * MIB

assert SNAPSHOT_PART_BYTES <= EVENT_BYTES_MAX, "a part of a snapshot must fit one record"
assert SNAPSHOTS_KEPT >= 2, "a damaged snapshot needs one to fall back on"
assert HEALTH_INTERVAL_SECONDS * 3 < HEALTH_TURN_SECONDS_MAX, "one missed report is no illness"
assert CLAIMS_MAX <= BATCH_EVENTS_MAX, "all claims of a worker must fit one append"
assert LEASE_RENEWAL_FRACTION * 2 < LEASE_START_FRACTION, "a renewal may be missed once before work stops"
assert COMMIT_PACE_SECONDS_MAX * 1_000 < LEASE_MS_MIN * LEASE_RENEWAL_FRACTION / 4, "a pause delays no renewal by much"
assert LEASE_RENEWAL_FRACTION < LEASE_PROOF_FRACTION, "a living holder has tried to renew by then"
assert WATCH_STEP_FRACTION < LEASE_RENEWAL_FRACTION / 2, "several unnoticed outages leave a holder time to renew"
assert LEASE_PROOF_FRACTION <= 0.5, "what a living holder tries to append has as long again to land"
assert TASK_ID_CHARS_MAX <= KEY_CHARS_MAX, "a task's id is its key"

# How long opening a Kafka journal may take, in seconds, and how long one request to a broker.
KAFKA_OPEN_SECONDS_MAX: Final = 10.0
KAFKA_REQUEST_SECONDS_MAX: Final = 10.0
# The same for an append. A client asks any broker where a partition went, the stopped one too, and learns so late that
# it did not answer: with two seconds it can be unlucky twice and still be back soon after the fail-over.
KAFKA_APPEND_REQUEST_SECONDS_MAX: Final = 2.0
# How long a reader's connection may bring nothing of an answer that is due, in seconds, and how long connecting may
# take.
KAFKA_STALL_SECONDS_MAX: Final = 2.0
# How long an idle fetch waits at the broker, in seconds: what else goes over that connection queues behind it.
KAFKA_FETCH_WAIT_SECONDS: Final = 0.1
# A broker that has said nothing for so long, in seconds, is reported as away.
KAFKA_SILENCE_SECONDS_MAX: Final = 3.0
# How long reading a bounded stretch, or a position, may take in seconds.
LOOKUP_SECONDS_MAX: Final = 30.0
# How long a caller waits for its append, in seconds, before it is told that its fate is unknown; it stays queued.
APPEND_SECONDS_MAX: Final = 60.0
# How long closing waits for appends that are under way, in seconds.
CLOSE_SECONDS_MAX: Final = 10.0
# How long a program's end waits for the journals it left open, in seconds: they finish what was accepted, and then
# their connections are closed.
EXIT_SECONDS_MAX: Final = 2 * CLOSE_SECONDS_MAX
# What may wait for a broker that is away, in bytes of all appends together.
APPEND_QUEUE_BYTES_MAX: Final = 64 * MIB
# How many appends a log remembers the positions of, so that a repeat is answered without reading the log.
APPENDS_REMEMBERED: Final = 10_000
# The same for appends over several partitions, in events: of those each event's place is kept.
PLACES_REMEMBERED: Final = 100_000
# A reader that starts in the middle looks so far back for the last numbers of each writer, in events and in bytes.
DEDUPE_PRIMING_EVENTS: Final = 10_000
DEDUPE_PRIMING_BYTES: Final = 2 * BATCH_BYTES_MAX
# A conditional append is decided by the events between the offset up to which its writer has looked and its own place:
# fewer than so many offsets, or it is refused.
CONDITION_EVENTS_MAX: Final = 20_000
# How many of the records just read a reader keeps, to decide conditional appends without asking for them again.
CONDITION_RECORDS_KEPT: Final = 128
# How many writers' last numbers a reader keeps per partition, and how many bounded readings can be gone on with.
DEDUPE_WRITERS_MAX: Final = 10_000
READINGS_REMEMBERED: Final = 64
# What a log keeps of the pages its readers were handed last, in bytes of rows and in pages.
RECENT_BYTES_MAX: Final = 1 * MIB
RECENT_PAGES_MAX: Final = 64

assert DEDUPE_PRIMING_EVENTS >= BATCH_EVENTS_MAX, "a batch repeated at once must be recognised from its middle"
assert DEDUPE_PRIMING_BYTES >= BATCH_BYTES_MAX, "a batch repeated at once must be recognised from its middle"
assert CONDITION_EVENTS_MAX > BATCH_EVENTS_MAX, "one append of others may come in between"
assert APPEND_QUEUE_BYTES_MAX >= BATCH_BYTES_MAX, "one append must fit the queue"
assert KAFKA_FETCH_WAIT_SECONDS < KAFKA_STALL_SECONDS_MAX, "a broker that waits with us is not away"
assert KAFKA_STALL_SECONDS_MAX < KAFKA_SILENCE_SECONDS_MAX, "another broker is asked before anybody is told"

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
# How often a worker looks whether the index is behind, in seconds. Where it takes the events in by itself, and not in
# bulk, it leaves the index alone while more events than that come between two looks, as long as it is not further
# behind than that.
INDEX_INTERVAL_SECONDS: Final = 0.25
INDEX_BUSY_EVENTS: Final = 5_000
INDEX_LAG_EVENTS_MAX: Final = 500_000
# Records of one task that stand so close together are read in one go, in positions between them.
INDEX_GAP_EVENTS_MAX: Final = 16

# What a consumer has read and not yet handed out, at most, in events: a page, or one for each partition while it merges
# their histories.
CONSUMER_EVENTS_MAX: Final = 65_536
# While it merges, it reads at least so many events of a partition at a time.
MERGE_PAGE_EVENTS_MIN: Final = 64
# How long a consumer waits for one partition before it looks whether the tail has moved past it, in seconds.
GAP_SECONDS: Final = 0.2
# What the readers who follow a log together keep of its last pages, in events and in bytes of rows; the newest page in
# any case. Who is slower than that reads by itself until it has caught up.
SHARED_TAIL_EVENTS_MAX: Final = 16_384
SHARED_TAIL_BYTES_MAX: Final = 8 * MIB

assert SHARED_TAIL_EVENTS_MAX >= 4 * PAGE_EVENTS, "who reads page by page must be able to catch up with the others"
assert 2 * PARTITIONS_MAX <= CONSUMER_EVENTS_MAX, "a merge holds up to two pages of each partition"

# How often a callback is tried with an event before the event is parked, unless it is said otherwise, and at most.
PARK_ATTEMPTS_DEFAULT: Final = 3
PARK_ATTEMPTS_MAX: Final = 1_000
# How long a consumer waits before the second attempt, in seconds; before each further one twice as long, up to the
# limit.
PARK_BACKOFF_SECONDS: Final = 0.1
PARK_BACKOFF_SECONDS_MAX: Final = 5.0
# What a parked event keeps of the error's text and traceback, in characters, and the largest event that can be parked,
# in bytes.
PARKED_TEXT_CHARS_MAX: Final = 1_000
PARKED_TRACEBACK_CHARS_MAX: Final = 8 * KIB
PARKED_EVENT_BYTES_MAX: Final = EVENT_BYTES_MAX - 128 * KIB
# How often an append whose fate is unknown is handed in again by code that has no caller to ask.
APPEND_REPEATS_MAX: Final = 5
# How often a conditional append is tried anew, after reading what has come between.
CONFLICTS_MAX: Final = 100
# How many events ahead of a consumer are looked at, at most, to count those of its own topic.
LAG_EVENTS_MAX: Final = 10_000

# A character of a text takes at most six bytes in JSON.
assert 6 * (2 * PARKED_TEXT_CHARS_MAX + PARKED_TRACEBACK_CHARS_MAX + 3 * KEY_CHARS_MAX) < 128 * KIB, (
    "a parked event fits"
)

# Verifying a journal lists this many findings and counts the others, and compares the numbers of the last writers.
FINDINGS_MAX: Final = 100
VERIFY_WRITERS_MAX: Final = 100_000

# Pages of SQLite that a backup copies between two reports of its progress.
COPY_PAGES: Final = 1_000
