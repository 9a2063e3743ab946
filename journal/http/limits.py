"""The limits of logs over HTTP, on both sides, each named with its unit last."""

from typing import Final

from ..limits import BATCH_BYTES_MAX, BATCH_EVENTS_MAX, CURSOR_AHEAD_SECONDS_MAX, MIB, SNAPSHOT_BYTES_MAX

# -- the wire, for both sides ------------------------------------------------------------------------------------------

# The most records in one frame, and the bytes of records after which a frame ends.
FRAME_EVENTS_MAX: Final = 4_096
FRAME_BYTES: Final = 1 * MIB
# A longer frame is no frame of ours: its reader drops the connection.
FRAME_BYTES_MAX: Final = 64 * MIB
# How often the service sends a frame into a stream that has nothing to say, in seconds.
HEARTBEAT_SECONDS: Final = 3.0
# How long the service waits for records before it ends the answer of a poll, in seconds, and at most by request.
POLL_SECONDS: Final = 1.0
POLL_SECONDS_MAX: Final = 30.0
# The most appends in one request.
PARTS_MAX: Final = 1_000
WRITER_CHARS_MAX: Final = 64

# -- the client --------------------------------------------------------------------------------------------------------

# How long opening may take, in seconds, while the service is away; and a bounded read, a look-up or a snapshot.
OPEN_SECONDS_MAX: Final = 10.0
LOOKUP_SECONDS_MAX: Final = 30.0
# How long connecting may take, in seconds, and how long an answer may take.
CONNECT_SECONDS_MAX: Final = 5.0
REQUEST_SECONDS_MAX: Final = 15.0
# A stream that delivers no byte for so long is made anew, in seconds: the service sends heartbeats.
SILENCE_SECONDS_MAX: Final = 10.0
# The first frame of a stream comes at once. If it has not come within so many seconds, although the service took the
# request, a proxy may hold answers back until they are complete: then the reader polls.
FIRST_FRAME_SECONDS_MAX: Final = 3.0
# How long a caller waits for its append, in seconds, before it gets `AppendInDoubt`; the append stays queued.
APPEND_SECONDS_MAX: Final = 60.0
# How many bytes of appends may wait in total while the service is away, and how many travel in one request.
APPEND_QUEUE_BYTES_MAX: Final = 64 * MIB
APPEND_REQUEST_BYTES: Final = BATCH_BYTES_MAX
# How long an append waits before its second attempt, in seconds; before each further one twice as long, up to the
# maximum. Requests that only read wait in the same way.
BACKOFF_SECONDS: Final = 0.05
BACKOFF_SECONDS_MAX: Final = 1.0
# For how many appends a log remembers where they may stand, so that a repeat is looked for in a short stretch.
APPENDS_REMEMBERED: Final = 10_000
# How many bytes of records a reader fetches ahead.
AHEAD_BYTES_MAX: Final = 8 * MIB
# How long a read whose timeout has passed still waits for records that are known to exist, in seconds.
ARRIVAL_SECONDS_MAX: Final = 2.0
# The largest answer to a short request, in bytes: a snapshot.
ANSWER_BYTES_MAX: Final = SNAPSHOT_BYTES_MAX + MIB
# How many bytes of a long answer may have arrived and not been read, before its sender is held back.
UNREAD_BYTES_MAX: Final = 2 * MIB
# How many connections a log keeps open for requests, and for how long without use, in seconds: less than the service.
CONNECTIONS_KEPT: Final = 8
CONNECTION_IDLE_SECONDS_MAX: Final = 30.0
# How long a key may be, in characters.
KEY_CHARS_MAX: Final = 512
# How often a log that cannot reach its service says so, in seconds.
WARNING_SECONDS: Final = 3.0

assert HEARTBEAT_SECONDS * 2 < SILENCE_SECONDS_MAX, "a lost heartbeat is no silence"
assert CURSOR_AHEAD_SECONDS_MAX < REQUEST_SECONDS_MAX, "a log decides that a position is not its own before that"
assert POLL_SECONDS < REQUEST_SECONDS_MAX, "the service ends a poll before its reader gives it up"
assert POLL_SECONDS_MAX <= LOOKUP_SECONDS_MAX
assert FRAME_BYTES + BATCH_BYTES_MAX < FRAME_BYTES_MAX, "a frame of the largest records is one"
assert FRAME_EVENTS_MAX <= BATCH_EVENTS_MAX
assert BACKOFF_SECONDS <= BACKOFF_SECONDS_MAX < APPEND_SECONDS_MAX
assert APPEND_QUEUE_BYTES_MAX >= BATCH_BYTES_MAX, "one append must fit the queue"
