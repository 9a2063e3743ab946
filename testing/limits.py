"""The limits of the workbench, with their units."""

from typing import Final

# A moment that lies this little, in seconds, behind the one to which the clock was advanced counts as reached: a due
# time is rounded to the microsecond, and delays are whole milliseconds.
ROUNDING_SECONDS: Final = 0.000_5
# How long, in real seconds, a coroutine that waits for a socket is given to hear from it; then the clock moves on, up
# to its timeout. The second is for one that has a timer as well, so that it may only sleep beside an idle connection,
# and for one that waits for neither, but perhaps for a thread that is none of the event loop's.
SOCKET_SECONDS_MAX: Final = 30.0
OUTSIDE_SECONDS_MAX: Final = 5.0
# A synchronous task with a timeout up to so many ms is also stopped if it runs for so long by the real clock.
WATCHED_TIMEOUT_MS_MAX: Final = 60_000
# How long a coroutine that ignores its cancellation may delay the end of a workbench, in real seconds.
CLOSING_SECONDS_MAX: Final = 5.0
# So many steps of the history of a task, the last ones, are part of an assertion's message.
SHOWN_STEPS_MAX: Final = 30
