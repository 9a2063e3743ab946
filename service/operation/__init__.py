"""Operate the service: metrics, probes of health and readiness, and the log of requests."""
