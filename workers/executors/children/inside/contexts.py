"""Copy the context variables as the tasks' modules have set them, one copy for each run."""

import contextvars
import sys
from collections.abc import Callable
from typing import Final

# The name of the variable in which `decimal` keeps its context, an object that the tasks can change.
_DECIMAL: Final = "decimal_context"


def copies_of(context: contextvars.Context) -> Callable[[], contextvars.Context]:
    """Return a function that copies a context, with a `decimal` context of its own: a plain copy shares that object.

    Where `decimal` was not used yet there is none to share, and a plain copy is all.
    """
    decimal = sys.modules.get("decimal")
    if decimal is None or not any(variable.name == _DECIMAL for variable in context):
        return context.copy

    def copied() -> contextvars.Context:
        copy = context.copy()
        copy.run(lambda: decimal.setcontext(decimal.getcontext().copy()))
        return copy

    return copied
