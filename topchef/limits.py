"""The limits of the client of TopChef, each with its unit."""

from typing import Final

# How long one request may take, in seconds, beside the time that the server is asked to wait.
REQUEST_SECONDS_DEFAULT: Final = 30.0
# How long to wait for a connection, in seconds.
CONNECT_SECONDS: Final = 5.0
# A connection without requests is closed after so many seconds: before usual servers close it.
CONNECTION_IDLE_SECONDS: Final = 4.0
# How often a request that is safe to repeat is repeated; the pause before that in seconds doubles up to the maximum.
REPEATS_MAX: Final = 4
REPEAT_SECONDS: Final = 0.1
REPEAT_SECONDS_MAX: Final = 2.0
# The longest pause that a server may ask for by `Retry-After`, in seconds.
RETRY_AFTER_SECONDS_MAX: Final = 30.0
# How long one request waits for the end of a job, in seconds.
JOB_WAIT_SECONDS: Final = 10.0
# While the server cannot be reached a wait for a job goes on for so many seconds.
JOB_OUTAGE_SECONDS: Final = 60.0
# At a server that does not wait: the pause between two looks at a job, in seconds; it doubles up to the maximum.
JOB_POLL_SECONDS: Final = 0.05
JOB_POLL_SECONDS_MAX: Final = 1.0
# How long one claim of a listener waits for a job, in seconds: `stop()` takes that long at most when there is none.
CLAIM_WAIT_SECONDS: Final = 2.0
# At a server without claims: the pause between two looks at an empty queue, in seconds; it doubles up to the maximum.
QUEUE_POLL_SECONDS: Final = 0.05
QUEUE_POLL_SECONDS_MAX: Final = 1.0
# While the server cannot be reached a listener tries again after so many seconds, doubled up to the maximum.
RECONNECT_SECONDS: Final = 0.2
RECONNECT_SECONDS_MAX: Final = 5.0
# How long a listener may be silent before its job is given to another, in milliseconds.
LEASE_MS_DEFAULT: Final = 30_000
# How often the service of a listener is checked in, in seconds.
CHECK_IN_SECONDS_DEFAULT: Final = 30
# What an error shows of an answer, and what a failed job tells of its traceback, in characters.
ANSWER_CHARS_SHOWN: Final = 500
TRACEBACK_CHARS_MAX: Final = 20_000
ERROR_CHARS_MAX: Final = 2_000
