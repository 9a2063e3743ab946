"""The demonstration's task, as a user would write one. A worker is told this module by name."""

from ..tasks.broker import Broker
from ..tasks.task import task
from .source import Facts, examine, library_root

broker = Broker()  # which journal, the worker and the producer say


@task(broker)
def examine_source(path: str) -> Facts:
    """The facts about one file of the standard library; `path` is relative to where this Python keeps it."""
    return examine(library_root() / path)
