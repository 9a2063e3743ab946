"""The limits of the screen, each named with its unit last."""

from typing import Final

# How often the screen is drawn while events come, and while none comes, as spans still grow; in seconds.
REFRESH_SECONDS: Final = 1.0
IDLE_REFRESH_SECONDS: Final = 5.0
# How long a journal that is away is left alone before the next attempt, in seconds.
AGAIN_SECONDS: Final = 1.0
# How often the screen looks whether a journal that brings nothing is still there, in seconds.
LOOK_SECONDS: Final = 3.0
# How long a journal may take to answer before the screen says that it does not, in seconds.
ANSWER_SECONDS_MAX: Final = 5.0
# How long the screen waits at its end for the thread that reads, in seconds.
LEAVE_SECONDS_MAX: Final = 2.0
# The window of the trends and the width of one bucket, in seconds.
TREND_SECONDS: Final = 3_600.0
TREND_BUCKET_SECONDS: Final = 60.0
# A step through history by one key, and by its larger sister, in seconds.
STEP_SECONDS: Final = 60.0
LONG_STEP_SECONDS: Final = 600.0
# How often a worker's last sign of life is read from the journal at most, in seconds.
SIGNS_SECONDS: Final = 3.0
# A list that takes long to select is selected again only after so many times as long.
SELECT_AGAIN_TIMES: Final = 30
# How often the history of a followed task whose state has not changed is read, in seconds.
FOLLOW_TASK_SECONDS: Final = 5.0
# How many of the newest events the screen keeps for its tab of events.
RECENT_EVENTS_KEPT: Final = 2_000
# How many rows beyond the screen are fetched on either side of it.
ROWS_AHEAD: Final = 20
# How many running tasks of a worker, warnings and dead letters the overview names.
RUNNING_TASKS_SHOWN: Final = 3
WARNING_LINES_SHOWN: Final = 4
FAILURES_SHOWN: Final = 8
# From how many lines on the overview draws its charts higher, and how high; and how wide at most.
TALL_LINES_MIN: Final = 32
CHART_LINES: Final = 4
CHART_COLUMNS_MAX: Final = 60
# From how many columns on two charts stand beside each other.
CHARTS_BESIDE_COLUMNS_MIN: Final = 140
# How many characters of a text, such as an event's context, a cell gets.
CELL_CHARS_MAX: Final = 300
# A screen with fewer columns leaves out the columns that are marked as wide.
WIDE_COLUMNS_MIN: Final = 110
# A column that gives way keeps at least so many columns of the screen.
CELL_COLUMNS_MIN: Final = 8
# From how many stale entries on the order of a queue's waiting tasks is made anew.
STALE_TASKS_MIN: Final = 1_000
# From how many errors on those of tasks that are dead letters no more are dropped.
ERRORS_STALE_MIN: Final = 1_000
# How long a sentence about an act stays in the last line, in seconds.
NOTICE_SECONDS: Final = 10.0
