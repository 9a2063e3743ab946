"""Views (folds of the log), their replicas and snapshots."""
