"""Commands on all tasks that match a filter: one audited, rate-limited command instead of many requests."""
