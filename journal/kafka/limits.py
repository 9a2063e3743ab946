"""The limits of the log on Kafka, each named with its unit last."""

from typing import Final

from ..limits import BATCH_BYTES_MAX, BATCH_EVENTS_MAX, EVENT_BYTES_MAX, KIB, MIB

# What a Kafka topic must accept as one record batch: a whole append and the records' own overhead.
TOPIC_MESSAGE_BYTES_MIN: Final = BATCH_BYTES_MAX + 512 * KIB
# How often an open journal's topic is looked at, in seconds, to notice that it was deleted, made again or given more
# partitions; and how long it must be missing.
KAFKA_TOPIC_LOOK_SECONDS: Final = 5.0
KAFKA_TOPIC_MISSING_SECONDS: Final = 1.0

assert BATCH_BYTES_MAX < TOPIC_MESSAGE_BYTES_MIN, "one append must fit one Kafka record batch"

# On Kafka a snapshot is stored in parts of so many bytes.
SNAPSHOT_PART_BYTES: Final = 1 * MIB

assert SNAPSHOT_PART_BYTES <= EVENT_BYTES_MAX, "a part of a snapshot must fit one record"

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
