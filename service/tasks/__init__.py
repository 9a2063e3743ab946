"""The queue over HTTP: tasks, dead letters, queues, workers, locks and schedules."""
