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
# How far the clocks of two machines are believed to differ at most when a time is turned into a position, in seconds.
CLOCK_SKEW_SECONDS_MAX: Final = 300.0

assert EVENT_BYTES_MAX <= BATCH_BYTES_MAX, "one event must fit one append"
assert BATCH_BYTES_MAX < TOPIC_MESSAGE_BYTES_MIN, "one append must fit one Kafka record batch"
assert PAGE_EVENTS <= BATCH_EVENTS_MAX, "a page is never larger than the largest append"
