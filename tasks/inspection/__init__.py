"""Answers for operators: a task's history, why it waits, and the state of queues, workers, schedules and locks."""
