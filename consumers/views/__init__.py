"""Folds of the log, their replicas and snapshots."""
