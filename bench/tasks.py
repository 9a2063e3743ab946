"""The tasks of the benchmark: one that does nothing."""

from journeyman.workers import Broker, task

broker = Broker()


@task(broker, max_retries=0)
def noop(number: int) -> int:
    """Give the number back."""
    return number
