"""One tail of a log, shared by all its readers in a process."""
