"""The terminal screen of `journeyman top`: the queue as it is, and as it was at any moment."""
