"""The metrics that services and workers export: their table, the samples of a state, and Prometheus' formats."""
