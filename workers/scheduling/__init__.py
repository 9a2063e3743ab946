"""The pure rules of a worker: which tasks it claims next, and which sessions it expires."""
