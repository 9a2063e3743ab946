"""A stream of tasks handed in one by one, by queues that others have made: they run in an environment of their own."""
