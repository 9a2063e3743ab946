"""The embedded log: one SQLite file, many processes."""
