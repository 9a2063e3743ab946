"""The limits of consumers, views and checkpoints, each named with its unit last."""

from typing import Final

from ..journal.limits import EVENT_BYTES_MAX, KEY_CHARS_MAX, KIB, PARTITIONS_MAX

# So many records that are no events are told of one by one in a worker's, a consumer's or a command's log.
BAD_RECORDS_TOLD_MAX: Final = 10
# A writer's id: the log's own have 32.
WRITER_CHARS_MAX: Final = 64
# A snapshot of a view is taken when so many events came since the newest one, and not before each event since then can
# pay for so many bytes of its state: so the cost of snapshots is bounded per event, however large the state.
SNAPSHOT_EVENTS: Final = 100_000
SNAPSHOT_BYTES_PER_EVENT: Final = 100
# What a consumer has read and not yet handed out, at most, in events: a page, or one for each partition while it merges
# their histories.
CONSUMER_EVENTS_MAX: Final = 65_536
# While it merges, it reads at least so many events of a partition at a time.
MERGE_PAGE_EVENTS_MIN: Final = 64

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
