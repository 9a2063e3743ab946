"""The task index: from a task's id to its events in the log. Derived, rebuildable, never the truth."""
