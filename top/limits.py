"""The limits of request tracking, each with its unit."""

from typing import Final

# How many completed tasks a tracker keeps, and how many it can keep at most.
COMPLETED_TASKS_DEFAULT: Final = 50
COMPLETED_TASKS_MAX: Final = 1_000
# A tracker forgets active tasks beyond so many, the oldest first: their ends were lost.
ACTIVE_TASKS_MAX: Final = 100_000
# A recorder holds so many events that are not written yet; beyond that it drops new requests, and counts them.
BUFFER_EVENTS_MAX: Final = 10_000
# How many events a recorder writes in one append, and how long it lets them gather first, in seconds.
RECORD_BATCH_EVENTS: Final = 500
RECORD_PAUSE_SECONDS: Final = 0.05
# After a failed append a recorder waits so long, in seconds; the wait doubles up to the second.
RECORD_RETRY_SECONDS: Final = 0.5
RECORD_RETRY_SECONDS_MAX: Final = 30.0
# How long a program waits at its end for what is not written yet, in seconds.
RECORD_EXIT_SECONDS: Final = 2.0
# What is recorded of one header's value, of a path and of all headers of a message, in characters.
HEADER_CHARS_MAX: Final = 2_000
PATH_CHARS_MAX: Final = 4_000
HEADERS_MAX: Final = 100
REST_TIMEOUT_SECONDS: Final = 10.0

assert COMPLETED_TASKS_DEFAULT <= COMPLETED_TASKS_MAX
