"""Executors whose tasks run in child processes: this side of the process border, and `inside/`, the other."""
