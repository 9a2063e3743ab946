"""Registers, in one list, the handlers that are called before and after the process forks.

A forked child inherits held locks and shared sockets and files, but no threads. Python runs the handlers of a fork in
the order of imports; here one list sets their order, and a handler that fails does not keep the others from running.
"""

import logging
import os
import weakref
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

# Imported for its fork hook, which reseeds its random numbers before our hooks below run. With the same numbers, two
# children of one millisecond would get the same writer id, and readers would drop the events of one as repeats.
import uuid_utils  # noqa: F401

logger = logging.getLogger("journeyman")


class Forkable(Protocol):
    """An object that has to be reset in a forked child."""

    def after_fork_in_child(self) -> None:
        """Drop the state that belongs to the parent; called in no particular order, and perhaps twice."""


def _nothing() -> None:
    pass


class _Handlers(NamedTuple):
    before: Callable[[], object]
    after_in_parent: Callable[[], object]
    after_in_child: Callable[[], object]


_handlers: Final[list[_Handlers]] = []
_forkables: Final["weakref.WeakSet[Forkable]"] = weakref.WeakSet()


def at_fork(
    *,
    before: Callable[[], object] = _nothing,
    after_in_parent: Callable[[], object] = _nothing,
    after_in_child: Callable[[], object] = _nothing,
) -> None:
    """Call the handlers at each fork: `before` the last registered first, the others the first registered first."""
    _handlers.append(_Handlers(before, after_in_parent, after_in_child))


def reset_after_fork(one: Forkable) -> None:
    """Call `after_fork_in_child` of the object in each child, as long as it exists."""
    _forkables.add(one)


def _reset_forkables() -> None:
    for each in list(_forkables):
        try:
            each.after_fork_in_child()
        except Exception:  # the other objects have to be reset all the same
            logger.exception("%r could not be reset in a forked process; do not use it there", each)


def _call(handler: Callable[[], object]) -> None:
    """Call a handler. What it raises is logged, an interrupt too: the process forks, and must release what it holds."""
    try:
        handler()
    except BaseException:
        logger.exception("a handler failed while the process forked")


def _before() -> None:
    for each in reversed(_handlers):
        _call(each.before)


def _after_in_parent() -> None:
    for each in _handlers:
        _call(each.after_in_parent)


def _after_in_child() -> None:
    for each in _handlers:
        _call(each.after_in_child)


at_fork(after_in_child=_reset_forkables)
os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
