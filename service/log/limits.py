"""The limits of the log over HTTP, on the service's side."""

from typing import Final

from ...journal.limits import PAGE_EVENTS, SNAPSHOT_BYTES_MAX

# The most records in the answer to one read.
READ_EVENTS_MAX: Final = 10_000
# The largest body of a request that saves a snapshot: the sealed state and its label.
SNAPSHOT_BODY_BYTES_MAX: Final = SNAPSHOT_BYTES_MAX + 64 * 1024

assert READ_EVENTS_MAX >= PAGE_EVENTS
