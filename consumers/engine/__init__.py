"""How a consumer gets from the log to its batches: read, merge, shape, hand out."""
