"""A stream of tasks submitted one by one, by other task queues, which run in an environment of their own."""
