"""The limits of the commands and of what they show, each named with its unit last."""

from typing import Final

# A consumer that has saved its checkpoint within so many seconds probably still runs.
CONSUMER_RUNS_SECONDS: Final = 60.0
# How many dead letters a list shows by default, and how many characters of an error it and the list of parked events.
DEAD_LETTERS_SHOWN_DEFAULT: Final = 100
DEAD_LETTER_ERROR_CHARS_MAX: Final = 200
PARKED_ERROR_CHARS_MAX: Final = 120
# How many of the last events of a lock its history shows by default.
LOCK_STEPS_SHOWN_DEFAULT: Final = 100
# A terminal with fewer columns has no room for remarks beside the lines of a list.
WIDE_COLUMNS_MIN: Final = 120
# The widths of the two columns before the remarks of a task's history, on a narrow terminal.
HISTORY_SINCE_COLUMNS: Final = 12
HISTORY_NAME_COLUMNS: Final = 16
# Lines of prose are not longer, as long ones are tiring to read.
PROSE_COLUMNS_MAX: Final = 100
# Output that goes to no terminal is as wide as this.
PLAIN_COLUMNS: Final = 4_096
# Of a table's cell that is cut to fewer columns nothing can be read.
CELL_COLUMNS_MIN: Final = 4
# How much of a result `history` shows, in characters.
RESULT_CHARS_SHOWN: Final = 2_000
# From how many events on a command shows its progress, and from how many bytes on an import does.
PROGRESS_EVENTS_MIN: Final = 100_000
PROGRESS_BYTES_MIN: Final = 10_000_000
# How many lines an import reads between two steps of its progress.
PROGRESS_STEP_LINES: Final = 1_000
# How many worker processes the demonstration starts at most.
DEMO_WORKERS_MAX: Final = 16
# How often `--reload` looks for changed files, in seconds; how long they must have stayed unchanged, as an editor, or a
# change of branch, writes several; and how long the worker may take to end before it is killed.
RELOAD_LOOK_SECONDS: Final = 0.5
RELOAD_SETTLED_SECONDS: Final = 0.1
RELOAD_END_SECONDS_MAX: Final = 10.0
# How often `tail` checks, while no event comes, that its output still has a reader, in seconds.
TAIL_LOOK_SECONDS: Final = 1.0
# How often `status --watch` draws anew, in seconds; how many rows of a kind it shows, and how many names in a row.
STATUS_REFRESH_SECONDS: Final = 1.0
STATUS_ROWS_SHOWN: Final = 50
STATUS_NAMES_SHOWN: Final = 3

# How long the shell waits for completions from the journal, in seconds, and how many it gets.
COMPLETION_SECONDS_MAX: Final = 2.0
COMPLETIONS_MAX: Final = 100

assert RELOAD_SETTLED_SECONDS < RELOAD_LOOK_SECONDS, "files settle between two looks"

# How many active requests, and completed ones, `journeyman requests` shows.
REQUESTS_SHOWN: Final = 20

# A report: in how many buckets its charts are divided at most, how many ticks an axis of time has, how many rows a
# table on a terminal has, and how many columns the small charts there.
REPORT_BUCKETS_MAX: Final = 96
REPORT_TICKS_MAX: Final = 8
REPORT_ROWS_SHOWN: Final = 50
SPARK_COLUMNS_MAX: Final = 32

# How long the name of a new package is at most: it is also that of a unit and of an image.
PACKAGE_NAME_CHARS_MAX: Final = 40
