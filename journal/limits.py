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
# One append to one partition: all of it or none of it becomes durable.
BATCH_BYTES_MAX: Final = 4 * MIB
BATCH_EVENTS_MAX: Final = 10_000
# What a Kafka topic must accept as one record batch: a whole append and the records' own overhead.
TOPIC_MESSAGE_BYTES_MIN: Final = BATCH_BYTES_MAX + 512 * KIB

NAME_CHARS_MAX: Final = 200
KEY_CHARS_MAX: Final = 500
PARTITIONS_MAX: Final = 1_024

# Rows read at a time: 500 keeps a page under a millisecond and the memory of a reader flat.
PAGE_EVENTS: Final = 500

# A reader whose doorbell was lost still looks this often, in seconds.
DOORBELL_POLL_SECONDS: Final = 0.5
# How long a writer waits for other processes' commits before it says the file is held, in seconds.
WRITE_LOCK_SECONDS_MAX: Final = 30.0
# How long one waits for a program that locks the file without standing in that queue, such as an SQL shell, in seconds.
FOREIGN_LOCK_SECONDS_MAX: Final = 5.0
# The appends of one process that wait together share a commit, up to about this many events.
COMMIT_EVENTS_MAX: Final = 20_000
# How far the clocks of two machines are believed to differ at most when a time is turned into a position, in seconds.
CLOCK_SKEW_SECONDS_MAX: Final = 300.0

assert EVENT_BYTES_MAX <= BATCH_BYTES_MAX, "one event must fit one append"
assert BATCH_BYTES_MAX < TOPIC_MESSAGE_BYTES_MIN, "one append must fit one Kafka record batch"
assert BATCH_EVENTS_MAX <= COMMIT_EVENTS_MAX, "one append must fit one commit"
assert PAGE_EVENTS <= BATCH_EVENTS_MAX, "a page is never larger than the largest append"

# What one worker holds claimed at most, in tasks: running, and waiting for a thread.
CLAIMS_MAX: Final = 512
# How much work a worker claims ahead of its threads, in seconds of its own recent pace.
CLAIM_AHEAD_SECONDS: Final = 0.05
# A claimed task that no thread came to for so long, in seconds, is given back.
CLAIM_IDLE_SECONDS_MAX: Final = 1.0
# How long a worker leaves a task to the worker whose turn it is, in seconds, before it takes it itself.
STEAL_DELAY_SECONDS: Final = 0.02
STEAL_TASKS_MAX: Final = 16
# While others run, outcomes wait for company in an append at most this long, in seconds.
OUTCOME_LINGER_SECONDS: Final = 0.005

LEASE_MS_DEFAULT: Final = 15_000
LEASE_MS_MIN: Final = 500
LEASE_MS_MAX: Final = 24 * 60 * 60 * 1_000
# A session is renewed when a third of its lease has passed in silence; no work starts after 0.8 of it.
LEASE_RENEWAL_FRACTION: Final = 1 / 3
LEASE_START_FRACTION: Final = 0.8
# How often the sessions of other workers are looked at while they hold claims, in seconds.
WATCH_INTERVAL_SECONDS: Final = 0.1

# How many finished tasks a view remembers, in log order: an id seen before is refused that far back.
FINISHED_TASKS_KEPT: Final = 50_000
# How many dead letters can still be requeued.
DEAD_LETTERS_KEPT: Final = 100_000

TASK_ID_CHARS_MAX: Final = 200
TASK_TIMEOUT_MS_DEFAULT: Final = 3_600_000
MAX_RETRIES_DEFAULT: Final = 3
DRAIN_SECONDS_DEFAULT: Final = 30.0
THREADS_DEFAULT: Final = 8
THREADS_MAX: Final = 1_024

assert CLAIMS_MAX <= BATCH_EVENTS_MAX, "all claims of a worker must fit one append"
assert LEASE_RENEWAL_FRACTION * 2 < LEASE_START_FRACTION, "a renewal may be missed once before work stops"
assert TASK_ID_CHARS_MAX <= KEY_CHARS_MAX, "a task's id is its key"
