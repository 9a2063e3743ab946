"""The demonstration's task, as a user would write one. The worker's command names this module."""

from ..tasks.broker import Broker
from ..tasks.decorator import task
from .source import Facts, examine, library_root

broker = Broker()  # the worker and the producer choose the journal


@task(broker)
def examine_source(path: str) -> Facts:
    """The facts about one file of the standard library; `path` is relative to where this Python keeps it."""
    return examine(library_root() / path)
