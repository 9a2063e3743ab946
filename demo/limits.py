"""The limits of the demonstration, each named with its unit last."""

from typing import Final

# The lease of its workers, in ms: short, so that the takeover of the killed one can be watched; and their threads.
LEASE_MS: Final = 2_000
THREADS: Final = 2
# How long a stopped worker may take to end before it is killed, in seconds; how many lines of its log an error shows.
WORKER_END_SECONDS_MAX: Final = 3.0
LOG_LINES_SHOWN: Final = 12
# How long the replay waits for the next event, in seconds.
REPLAY_WAIT_SECONDS_MAX: Final = 15.0
# How many of the largest files, and of the problems, the report lists, and how many characters of a checksum.
LARGEST_FILES_SHOWN: Final = 5
PROBLEMS_SHOWN: Final = 10
SHA_CHARS_SHOWN: Final = 12
# The demonstration fails if no task ends for so many seconds.
STALL_SECONDS_MAX: Final = 60.0
# How long one step of its loop waits for events, in seconds, and how long its end waits for the workers.
STEP_SECONDS: Final = 0.1
EXIT_SECONDS_MAX: Final = 10.0
# How often the screen is drawn anew, in seconds; how many columns its bar has; how many lines show the progress where
# there is no terminal.
REDRAW_SECONDS: Final = 0.1
BAR_COLUMNS: Final = 40
PLAIN_STEPS: Final = 10

assert LEASE_MS < STALL_SECONDS_MAX * 1_000 / 10, "a takeover is no stall"
assert WORKER_END_SECONDS_MAX < EXIT_SECONDS_MAX, "a worker is killed before the end stops waiting"
