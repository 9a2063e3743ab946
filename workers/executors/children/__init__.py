"""Executors whose tasks run in child processes: the worker's side; `inside/` is the code of the child."""
