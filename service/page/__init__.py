"""The page on which people look at the queue: static files without a build step, sent without their comments."""
