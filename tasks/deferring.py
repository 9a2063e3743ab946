"""Make messages without submitting them: the deferred mode of a task."""

from contextvars import ContextVar
from typing import Final, Self

# The tasks whose next message is not submitted, in this thread or coroutine.
_deferred: Final[ContextVar[frozenset["Deferring"]]] = ContextVar("journeyman_deferred", default=frozenset())


class Deferring:
    """The deferred mode: it is of one thread or coroutine, and for one message."""

    @property
    def deferred(self) -> bool:
        """Whether the next `generate` of this thread or coroutine makes a message without submitting it."""
        return self in _deferred.get()

    def defer(self) -> Self:
        """Have the next `generate` of this thread or coroutine make its message without submitting it."""
        _deferred.set(_deferred.get() | {self})
        return self

    def cancel_defer(self) -> Self:
        """Have the next `generate` submit its message, as usual."""
        _deferred.set(_deferred.get() - {self})
        return self

    def was_deferred(self) -> bool:
        """Return whether this message is deferred, and cancel that for the next one."""
        if not _deferred.get() or not self.deferred:
            return False
        self.cancel_defer()
        return True
