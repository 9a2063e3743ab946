"""The page on which people look at the queue: static files, which no step builds; only comments are left out."""
