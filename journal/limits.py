"""The limits of all journals, named with the unit last, and the relations between them.

The sizes are equal on every log, so that an append that fits a file also fits Kafka: there it is one record batch, and
a batch that is too large for the topic would be refused forever.
"""

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB
# One encoded event, in bytes. Larger payloads belong in a separate store, with a reference in the event.
EVENT_BYTES_MAX: Final = 1 * MIB
# The most bytes that an event's fields other than name, key and context add to its encoded form.
EVENT_OVERHEAD_BYTES_MAX: Final = 256
# The most bytes that an expected position adds to its record, without its key.
CONDITION_BYTES_MAX: Final = 64
# One append to one partition, which becomes durable atomically.
BATCH_BYTES_MAX: Final = 4 * MIB
BATCH_EVENTS_MAX: Final = 10_000

NAME_CHARS_MAX: Final = 200
# One line of an imported file, in bytes: an event with its key and context escaped.
LINE_BYTES_MAX: Final = 2 * EVENT_BYTES_MAX
KEY_CHARS_MAX: Final = 500
# How deep lists and objects in a context may be nested, the context itself counted: all JSON encoders and decoders in
# use support that, with the frames of a program above them.
CONTEXT_DEPTH_MAX: Final = 200
# How deep they may be nested in a record of a log; a deeper record counts as unreadable for every reader.
RECORD_DEPTH_MAX: Final = 512
PARTITIONS_MAX: Final = 1_024
# The latest time an event can carry, and at which a task can be due, in seconds since 1970 (the year 2223): below it a
# float distinguishes microseconds.
TIMESTAMP_SECONDS_MAX: Final = 8_000_000_000.0
# Of a worker's process, in bytes: the size from which a memory block is mapped, and so returned as soon as it is free,
# and the free memory that an arena keeps.
HEAP_MAPPED_BYTES_MIN: Final = 1 * MIB
HEAP_SPARE_BYTES_MAX: Final = 4 * MIB
# How long to wait for the end of a Kafka topic to reach a cursor beyond it, in seconds: after a fail-over the end can
# lag behind events that readers have already received.
CURSOR_AHEAD_SECONDS_MAX: Final = 10.0
# Rows read at a time: 500 keeps a page under a millisecond and the memory of a reader flat.
PAGE_EVENTS: Final = 500
# How often a reader polls its log in case a notice was lost, in seconds.
NOTIFIER_POLL_SECONDS: Final = 0.5
# A timeout beyond this, in seconds (ten years), counts as infinite: the system's own calls overflow far later.
WAIT_SECONDS_MAX: Final = 10 * 365 * 86_400.0
# A conditional append checks at most so many events while it holds the file's lock, and earlier ones without it.
CONDITION_LOCKED_EVENTS: Final = 1_000
# How long a fork waits for running statements, in seconds; after a timeout its child cannot use the journal.
FORK_SECONDS_MAX: Final = 5.0
# How old the last comparison of the open files with those at their paths may be when a write begins, in seconds. Each
# append and each page is compared once more before it is acknowledged or handed out.
FILE_CHECK_SECONDS: Final = 0.001
# Times rise along a log up to so many seconds ahead of the writer's clock, as by a microsecond for each event of a
# batch; if the last time is farther ahead, a clock was wrong, and the next event gets its own clock's time.
CLOCK_STEP_SECONDS_MAX: Final = 1.0
# The greatest assumed difference between the clocks of two machines, in seconds, when a time becomes a position.
CLOCK_SKEW_SECONDS_MAX: Final = 300.0

assert EVENT_BYTES_MAX <= BATCH_BYTES_MAX, "one event must fit one append"
assert CONTEXT_DEPTH_MAX < RECORD_DEPTH_MAX, "an event that can be appended can be read"
assert TIMESTAMP_SECONDS_MAX < 2**33, "from there on the steps of a float are longer than a microsecond"
assert PAGE_EVENTS <= BATCH_EVENTS_MAX, "a page is never larger than the largest append"

# How long the end of a worker or a program waits for a running thread, in seconds, before it abandons it.
LET_GO_SECONDS: Final = 0.5
# The number of a view's newest snapshots that are kept; one more is kept at the beginning of trimmed history.
SNAPSHOTS_KEPT: Final = 3
# A view with a larger state, in bytes before compression, gets no snapshots: it replays.
SNAPSHOT_BYTES_MAX: Final = 512 * MIB

assert SNAPSHOTS_KEPT >= 2, "a damaged snapshot needs one to fall back on"

# How long closing waits for running appends, in seconds.
CLOSE_SECONDS_MAX: Final = 10.0
# How long a program's end waits for the journals it left open, in seconds: they finish the accepted appends, and then
# their connections are closed.
EXIT_SECONDS_MAX: Final = 2 * CLOSE_SECONDS_MAX
# How long a consumer waits for one partition before it checks whether the tail has moved past it, in seconds.
GAP_SECONDS: Final = 0.2
# The size of a shared tail's window of pages, in events and in bytes of rows; it keeps the newest page in any case. A
# reader that falls behind the window reads by a tail of its own until it has caught up.
SHARED_TAIL_EVENTS_MAX: Final = 16_384
SHARED_TAIL_BYTES_MAX: Final = 8 * MIB

assert SHARED_TAIL_EVENTS_MAX >= 4 * PAGE_EVENTS, "a reader that reads by pages must be able to catch up"

# Verifying a journal lists this many findings and counts the others, and compares the numbers of the last writers.
FINDINGS_MAX: Final = 100
VERIFY_WRITERS_MAX: Final = 100_000

# How often the end of a log is read while a cursor is ahead of it, in seconds.
CURSOR_LOOK_SECONDS: Final = 0.25

assert CURSOR_LOOK_SECONDS * 4 <= CURSOR_AHEAD_SECONDS_MAX, "the end is read several times before it counts"

# How many names of events a process remembers as valid; beyond that it forgets them all and checks them again.
KNOWN_NAMES_MAX: Final = 4_096
# How many parts of the path to a value that is nested too deep an error shows.
DEPTH_PLACE_PARTS_SHOWN: Final = 6
