"""Resets objects in a forked child, which inherits held locks and shared sockets and files, but no threads.

An object that has any of these registers here when it is created, and its hook runs in each child before other code.
"""

import logging
import os
import weakref
from typing import Final, Protocol

# Imported for its fork hook, which reseeds its random numbers before our hook below runs. With the same numbers, two
# children of one millisecond would get the same writer id, and readers would drop the events of one as repeats.
import uuid_utils  # noqa: F401

logger = logging.getLogger("journeyman")


class Forkable(Protocol):
    """An object that has to be reset in a forked child."""

    def after_fork_in_child(self) -> None:
        """Drop the state that belongs to the parent; called in no particular order, and perhaps twice."""


_all: Final["weakref.WeakSet[Forkable]"] = weakref.WeakSet()


def tell_of_forks(one: Forkable) -> None:
    """Call `after_fork_in_child` of the object in each child, as long as it exists."""
    _all.add(one)


def _after_fork_in_child() -> None:
    for each in list(_all):
        try:
            each.after_fork_in_child()
        except Exception:  # the other objects have to be reset all the same
            logger.exception("%r could not be reset in a forked process; do not use it there", each)


os.register_at_fork(after_in_child=_after_fork_in_child)
