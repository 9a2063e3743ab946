"""What a fork leaves to the child: locks that somebody held, sockets and files shared with the parent, and no threads.

Whatever has any of these says so here when it is made, and is told in each child, before anything else runs there.
"""

import logging
import os
import weakref
from typing import Final, Protocol

# Imported for what it does at a fork, before our hook below: a child draws other random numbers than its siblings. With
# the same ones, two children of one millisecond would be one writer, and readers would drop the events of one.
import uuid_utils  # noqa: F401

logger = logging.getLogger("journeyman")


class Forkable(Protocol):
    """What has to know that it is in a child now."""

    def after_fork_in_child(self) -> None:
        """Leave to the parent what is the parent's; in no order among those who are told, and perhaps twice."""


_all: Final["weakref.WeakSet[Forkable]"] = weakref.WeakSet()


def tell_of_forks(one: Forkable) -> None:
    """Call its `after_fork_in_child` in each child, for as long as it lives."""
    _all.add(one)


def _after_fork_in_child() -> None:
    for each in list(_all):
        try:
            each.after_fork_in_child()
        except Exception:  # the others have to know all the same
            logger.exception("%r could not be made fit for a forked process", each)


os.register_at_fork(after_in_child=_after_fork_in_child)
