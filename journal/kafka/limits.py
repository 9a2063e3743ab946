"""The limits of the log on Kafka, each named with its unit last."""

from typing import Final

from ..limits import BATCH_BYTES_MAX, BATCH_EVENTS_MAX, EVENT_BYTES_MAX, KIB, MIB

# What a Kafka topic must accept as one record batch: a whole append and the records' own overhead.
TOPIC_MESSAGE_BYTES_MIN: Final = BATCH_BYTES_MAX + 512 * KIB
# How often an open journal checks its topic, in seconds, to detect that it was deleted, recreated or given more
# partitions; and how long the topic must be missing before it counts as deleted.
KAFKA_TOPIC_LOOK_SECONDS: Final = 5.0
KAFKA_TOPIC_MISSING_SECONDS: Final = 1.0

assert BATCH_BYTES_MAX < TOPIC_MESSAGE_BYTES_MIN, "one append must fit one Kafka record batch"

# The size of the parts in which a snapshot is stored on Kafka.
SNAPSHOT_PART_BYTES: Final = 1 * MIB

assert SNAPSHOT_PART_BYTES <= EVENT_BYTES_MAX, "a part of a snapshot must fit one record"

# How long opening a Kafka journal may take, in seconds, and how long one request to a broker.
KAFKA_OPEN_SECONDS_MAX: Final = 10.0
KAFKA_REQUEST_SECONDS_MAX: Final = 10.0
# The same for an append. A client looking for a partition's leader may ask any broker, even the stopped one, and must
# wait for this timeout: with two seconds it can ask it twice and still recover soon after the fail-over.
KAFKA_APPEND_REQUEST_SECONDS_MAX: Final = 2.0
# How long a reader's connection may deliver no byte of a pending response, in seconds, and how long connecting may
# take.
KAFKA_STALL_SECONDS_MAX: Final = 2.0
# How long an idle fetch waits at the broker, in seconds: other requests on that connection queue behind it.
KAFKA_FETCH_WAIT_SECONDS: Final = 0.1
# A broker that has been silent for this long, in seconds, is reported as unavailable.
KAFKA_SILENCE_SECONDS_MAX: Final = 3.0
# How long reading a bounded range, or looking up a position, may take, in seconds.
LOOKUP_SECONDS_MAX: Final = 30.0
# How long a caller waits for its append, in seconds, before it gets `AppendInDoubt`; the append stays queued.
APPEND_SECONDS_MAX: Final = 60.0
# How many bytes of appends may wait in total for an unavailable broker.
APPEND_QUEUE_BYTES_MAX: Final = 64 * MIB
# For how many appends a log remembers the positions, so that a repeat is answered without reading the log.
APPENDS_REMEMBERED: Final = 10_000
# The same for appends over several partitions, in events: for these the position of each event is kept.
PLACES_REMEMBERED: Final = 100_000
# How far back a reader that starts in the middle looks for the last number of each writer, in events and in bytes.
DEDUPE_PRIMING_EVENTS: Final = 10_000
DEDUPE_PRIMING_BYTES: Final = 2 * BATCH_BYTES_MAX
# A conditional append is decided by the events between the offset up to which its writer has read and its own offset.
# If that range has this many offsets or more, it is refused.
CONDITION_EVENTS_MAX: Final = 20_000
# How many of the records just read a reader keeps, to decide conditional appends without asking for them again.
CONDITION_RECORDS_KEPT: Final = 128
# How many writers' last numbers a reader keeps per partition, and how many bounded reads can be continued.
DEDUPE_WRITERS_MAX: Final = 10_000
READINGS_REMEMBERED: Final = 64
# How many of the pages last returned to its readers a log caches, in bytes of rows and in pages.
RECENT_BYTES_MAX: Final = 1 * MIB
RECENT_PAGES_MAX: Final = 64

assert DEDUPE_PRIMING_EVENTS >= BATCH_EVENTS_MAX, "a batch repeated at once must be recognised from its middle"
assert DEDUPE_PRIMING_BYTES >= BATCH_BYTES_MAX, "a batch repeated at once must be recognised from its middle"
assert CONDITION_EVENTS_MAX > BATCH_EVENTS_MAX, "one append of others may come in between"
assert APPEND_QUEUE_BYTES_MAX >= BATCH_BYTES_MAX, "one append must fit the queue"
assert KAFKA_FETCH_WAIT_SECONDS < KAFKA_STALL_SECONDS_MAX, "a broker that holds an idle fetch is not stalled"
assert KAFKA_STALL_SECONDS_MAX < KAFKA_SILENCE_SECONDS_MAX, "another broker is asked before a warning is logged"
