"""Trends: what happened to the tasks over time, by queue, as counts and spans in buckets of equal width."""
