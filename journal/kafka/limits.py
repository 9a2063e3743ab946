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
# How many replicas of a topic can be asked for: Kafka's number has two bytes.
REPLICATION_MAX: Final = 32_767
# How many of the pages last returned to its readers a log caches, in bytes of rows and in pages.
RECENT_BYTES_MAX: Final = 1 * MIB
RECENT_PAGES_MAX: Final = 64

assert DEDUPE_PRIMING_EVENTS >= BATCH_EVENTS_MAX, "a batch repeated at once must be recognised from its middle"
assert DEDUPE_PRIMING_BYTES >= BATCH_BYTES_MAX, "a batch repeated at once must be recognised from its middle"
assert CONDITION_EVENTS_MAX > BATCH_EVENTS_MAX, "one append of others may come in between"
assert APPEND_QUEUE_BYTES_MAX >= BATCH_BYTES_MAX, "one append must fit the queue"
assert KAFKA_FETCH_WAIT_SECONDS < KAFKA_STALL_SECONDS_MAX, "a broker that holds an idle fetch is not stalled"
assert KAFKA_STALL_SECONDS_MAX < KAFKA_SILENCE_SECONDS_MAX, "another broker is asked before a warning is logged"

# How long a client waits before it repeats a request that a broker has refused, in ms.
CLIENT_RETRY_MS: Final = 50
# How long stopping a client waits for its tasks, and then for the client itself, in seconds.
CLIENT_STOP_SECONDS_MAX: Final = 5.0
# How long an append waits before its second attempt, in seconds; before each further one twice as long, up to the
# maximum.
APPEND_BACKOFF_SECONDS: Final = 0.1
APPEND_BACKOFF_SECONDS_MAX: Final = 1.0
# The same for a conditional append that another one came before, as a share of these: the log is available.
CONFLICT_BACKOFF_SHARE: Final = 0.1
# How often a writer looks whether its conditional append has become readable, in seconds.
CONDITION_LOOK_SECONDS: Final = 0.25
# How many events a look-up reads at a time, how many bytes a broker sends it at most (a larger batch arrives whole),
# and how long the broker may wait for more, in ms.
LOOKUP_STEP_EVENTS: Final = 5_000
LOOKUP_FETCH_BYTES: Final = 512 * KIB
LOOKUP_WAIT_MS: Final = 10
# The fewest events that a bounded read looks back for the last number of each writer.
DEDUPE_PRIMING_EVENTS_MIN: Final = 100
# For how many keys a log remembers their partition.
KEYS_REMEMBERED: Final = 65_536
# How many partitions are examined to learn how many the writers knew, and how many of the last events in each.
PARTITIONS_EXAMINED_MAX: Final = 8
EXAMINED_EVENTS: Final = 200
# How long a read of the topic of snapshots may wait for more at the broker, in ms; how often it is looked whether a
# snapshot that was just written can be read, in seconds; and when an incomplete one counts as abandoned, in seconds.
SNAPSHOT_WAIT_MS: Final = 10
SNAPSHOT_LOOK_SECONDS: Final = 0.1
SNAPSHOT_ABANDONED_SECONDS: Final = 3_600.0
# How often a reader's connections are compared with the check before, in seconds. A blocked event loop adds at most one
# such interval of silence.
STALL_LOOK_SECONDS: Final = 0.25
# A reader waits in slices of this length, in seconds, so that a silent broker and a closed log are noticed.
READ_SLICE_SECONDS: Final = 0.5
# How long a read whose timeout has passed still waits for records that are known to exist, in seconds.
ARRIVAL_SECONDS_MAX: Final = 2.0
# How often a position beyond the end of a partition is tried again, in seconds.
AHEAD_RETRY_SECONDS: Final = 0.25
# With this many copies of each partition, or more, an append is acknowledged once two brokers have it.
SAFE_REPLICATION_MIN: Final = 3
# How often it is looked whether a new topic has leaders, in seconds, and how long a failed request about a topic waits.
TOPIC_LOOK_SECONDS: Final = 0.1
TOPIC_RETRY_SECONDS: Final = 0.25

assert APPEND_BACKOFF_SECONDS <= APPEND_BACKOFF_SECONDS_MAX, "the first pause is not longer than the longest"
assert APPEND_BACKOFF_SECONDS_MAX < APPEND_SECONDS_MAX, "an append is tried again before its caller gives up"
assert LOOKUP_STEP_EVENTS < CONDITION_EVENTS_MAX, "a look-up reads such a range in a few steps"
assert DEDUPE_PRIMING_EVENTS_MIN <= DEDUPE_PRIMING_EVENTS, "the shortest look back is not longer than the longest"
assert STALL_LOOK_SECONDS * 4 <= KAFKA_STALL_SECONDS_MAX, "a stall is measured to a quarter of its limit"
assert READ_SLICE_SECONDS < KAFKA_SILENCE_SECONDS_MAX, "a silent broker is noticed while a reader waits"
assert READ_SLICE_SECONDS < ARRIVAL_SECONDS_MAX, "a read that waits for known records fetches more than once"
assert CONDITION_LOOK_SECONDS < APPEND_SECONDS_MAX, "a writer looks for its append before it gives up"
