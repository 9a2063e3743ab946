"""The log in memory: reference implementation and model for tests."""
