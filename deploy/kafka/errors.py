"""Errors of starting and stopping Kafka; every message is a sentence that says what to do."""


class KafkaUnavailable(RuntimeError):
    """Kafka cannot run on this machine: the message names what is missing and how to get it."""


class KafkaClusterError(RuntimeError):
    """A cluster did not start, answer or stop as asked; the message holds the end of the broker's log."""
