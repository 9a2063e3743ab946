"""The tasks of the shop. The journal is named by the environment variable `JOURNEYMAN_JOURNAL`."""

import logging

import journeyman as jm

log = logging.getLogger(__name__)
broker = jm.Broker()


@jm.task(broker, queue="mail", max_retries=3)
def send(to: str) -> int:
    """Send a mail, or pretend to."""
    log.info("sending to %s", to)
    return len(to)


@jm.task(broker, queue="reports", mechanism="process", timeout=600_000)
def report(title: str = "sales") -> str:
    """Make a report in a process of its own."""
    return f"report of {title}"
