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

NAME_CHARS_MAX: Final = 200
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
# Of a worker's process, in bytes: from which size on a block of memory is mapped, and so returned as soon as it is
# free, and how much an arena keeps free.
HEAP_MAPPED_BYTES_MIN: Final = 1 * MIB
HEAP_SPARE_BYTES_MAX: Final = 4 * MIB
# How long a cursor beyond the end of a Kafka topic is waited for, in seconds: after a fail-over the end can lag behind
# what readers have been handed.
CURSOR_AHEAD_SECONDS_MAX: Final = 10.0
# Rows read at a time: 500 keeps a page under a millisecond and the memory of a reader flat.
PAGE_EVENTS: Final = 500
# A reader whose doorbell was lost still looks this often, in seconds.
NOTIFIER_POLL_SECONDS: Final = 0.5
# A caller's timeout beyond this, in seconds (ten years), waits for ever: the system's own calls overflow far later.
WAIT_SECONDS_MAX: Final = 10 * 365 * 86_400.0
# A conditional append looks at most at so many events while it holds the file's lock; at those before, without it.
CONDITION_LOCKED_EVENTS: Final = 1_000
# How long a fork waits for statements under way, in seconds; if it was too short, its child cannot use the journal.
FORK_SECONDS_MAX: Final = 5.0
# How old the last comparison of the open files with those at their paths may be when a write begins, in seconds. Each
# append and each page is compared once more before it is acknowledged or handed out.
FILE_CHECK_SECONDS: Final = 0.001
# Times rise along a log up to so many seconds ahead of the writer's clock, as by a microsecond for each event of a
# batch; where the last time lies farther ahead, a clock was wrong, and the next event has its own clock's time.
CLOCK_STEP_SECONDS_MAX: Final = 1.0
# How far the clocks of two machines are believed to differ at most when a time is turned into a position, in seconds.
CLOCK_SKEW_SECONDS_MAX: Final = 300.0

assert EVENT_BYTES_MAX <= BATCH_BYTES_MAX, "one event must fit one append"
assert CONTEXT_DEPTH_MAX < RECORD_DEPTH_MAX, "what can be appended can be read"
assert TIMESTAMP_SECONDS_MAX < 2**33, "from there on the steps of a float are longer than a microsecond"
assert PAGE_EVENTS <= BATCH_EVENTS_MAX, "a page is never larger than the largest append"

# How long what still runs when a worker has left may take to end, in seconds, before it is left behind.
LET_GO_SECONDS: Final = 0.5
# So many of a view's snapshots are kept, the newest; and the one that history trimmed by retention begins with.
SNAPSHOTS_KEPT: Final = 3
# A view whose state is larger, in bytes before compression, is not kept: it replays.
SNAPSHOT_BYTES_MAX: Final = 512 * MIB

assert SNAPSHOTS_KEPT >= 2, "a damaged snapshot needs one to fall back on"

# How long closing waits for appends that are under way, in seconds.
CLOSE_SECONDS_MAX: Final = 10.0
# How long a program's end waits for the journals it left open, in seconds: they finish what was accepted, and then
# their connections are closed.
EXIT_SECONDS_MAX: Final = 2 * CLOSE_SECONDS_MAX
# How long a consumer waits for one partition before it looks whether the tail has moved past it, in seconds.
GAP_SECONDS: Final = 0.2
# What the readers who follow a log together keep of its last pages, in events and in bytes of rows; the newest page in
# any case. Who is slower than that reads by itself until it has caught up.
SHARED_TAIL_EVENTS_MAX: Final = 16_384
SHARED_TAIL_BYTES_MAX: Final = 8 * MIB

assert SHARED_TAIL_EVENTS_MAX >= 4 * PAGE_EVENTS, "who reads page by page must be able to catch up with the others"

# Verifying a journal lists this many findings and counts the others, and compares the numbers of the last writers.
FINDINGS_MAX: Final = 100
VERIFY_WRITERS_MAX: Final = 100_000
