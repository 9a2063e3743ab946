"""The engine of consumers, from the log to batches: read, merge, transform, deliver."""
