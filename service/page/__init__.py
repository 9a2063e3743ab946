"""The page on which people look at the queue: files that the service sends as they are; no step builds them."""
