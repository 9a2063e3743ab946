"""The limits of consumers, views and checkpoints, each named with its unit last."""

from typing import Final

from ..journal.limits import BATCH_EVENTS_MAX, EVENT_BYTES_MAX, KEY_CHARS_MAX, KIB, PARTITIONS_MAX

# How many records that are not events a worker, a consumer or a command logs one by one.
BAD_RECORDS_TOLD_MAX: Final = 10
# The length of a writer's id; those of the log itself have 32 characters.
WRITER_CHARS_MAX: Final = 64
# A snapshot of a view is taken after this many events since the newest one, and not before the state's size divided by
# these events is at most this many bytes: so the cost of snapshots per event is bounded, however large the state.
SNAPSHOT_EVENTS: Final = 100_000
SNAPSHOT_BYTES_PER_EVENT: Final = 100
# The size of the first page, in events, of a reader whose pages are bounded in bytes; each next one at most doubles.
BOUNDED_PAGE_EVENTS: Final = 8
# The most events a consumer may have read and not yet delivered: a page, or one per partition while it merges their
# histories.
CONSUMER_EVENTS_MAX: Final = 65_536
# The fewest events a merge reads of a partition at a time.
MERGE_PAGE_EVENTS_MIN: Final = 64

assert 2 * PARTITIONS_MAX <= CONSUMER_EVENTS_MAX, "a merge holds up to two pages of each partition"

# How often a callback is tried with an event before the event is parked: the default and the maximum.
PARK_ATTEMPTS_DEFAULT: Final = 3
PARK_ATTEMPTS_MAX: Final = 1_000
# How long a consumer waits before the second attempt, in seconds; before each further one twice as long, up to the
# limit.
PARK_BACKOFF_SECONDS: Final = 0.1
PARK_BACKOFF_SECONDS_MAX: Final = 5.0
# How much of an error's text and traceback a parked event stores, in characters, and the largest event that can be
# parked, in bytes.
PARKED_TEXT_CHARS_MAX: Final = 1_000
PARKED_TRACEBACK_CHARS_MAX: Final = 8 * KIB
PARKED_EVENT_BYTES_MAX: Final = EVENT_BYTES_MAX - 128 * KIB
# How often internal code without a caller repeats an append whose outcome is unknown.
APPEND_REPEATS_MAX: Final = 5
# How often a conditional append is retried after a conflict and reading the events in between.
CONFLICTS_MAX: Final = 100
# How many events ahead of a consumer are examined, at most, to count those of its own topic.
LAG_EVENTS_MAX: Final = 10_000

# A character of a text takes at most six bytes in JSON.
assert 6 * (2 * PARKED_TEXT_CHARS_MAX + PARKED_TRACEBACK_CHARS_MAX + 3 * KEY_CHARS_MAX) < 128 * KIB, (
    "a parked event fits"
)

# How many events of a partition a view's past state, a search for checkpoints, an import or an export reads at a time.
SCAN_STEP_EVENTS: Final = 2_000
EXPORT_STEP_EVENTS: Final = 1_000
# How many of the last events a search for checkpoints examines first; then twice as many, and so on.
CHECKPOINT_WINDOW_EVENTS: Final = 500
# How many events an import appends at a time.
IMPORT_BATCH_EVENTS: Final = 1_000
# A time that lies farther ahead than this, in seconds, is refused, as it is nearly always in finer units.
FUTURE_SECONDS_MAX: Final = 100 * 365.25 * 86_400
# How much of an error's text the log line about a parked event contains, in characters.
PARKED_LINE_CHARS_MAX: Final = 200
# For how many names of events a topic remembers whether it covers them; beyond that it forgets them all.
TOPIC_NAMES_REMEMBERED: Final = 4_096
# By how much of `SNAPSHOT_EVENTS` a reader waits longer at random, so that the readers of a log do not all take the
# same snapshot.
SNAPSHOT_SPREAD_SHARE: Final = 0.25

assert IMPORT_BATCH_EVENTS <= BATCH_EVENTS_MAX, "a batch of an import is one append"
assert PARKED_LINE_CHARS_MAX <= PARKED_TEXT_CHARS_MAX, "a log line has no more than the event"
