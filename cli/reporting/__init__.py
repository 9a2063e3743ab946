"""A report on a stretch of time: its content, the tables for a terminal, and the page with its charts."""
