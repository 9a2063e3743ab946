"""Test tasks without a worker process: the real worker loop on a journal in memory, with a clock that the test moves.

The product must not import it. `journeyman.journal.testing` is another package: the suite that every log must pass.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ..tasks.failure import ExceptionFacts
    from .workbench import Workbench

_HOMES: Final = {"Workbench": ".workbench", "ExceptionFacts": "..tasks.failure"}

__all__ = ["Workbench", "ExceptionFacts"]

if not TYPE_CHECKING:  # the pytest plugin lives here and must not import a worker before a test asks for one

    def __getattr__(name: str) -> object:
        """Import the home of a public name when the name is first used."""
        if name in _HOMES:
            globals()[name] = found = getattr(import_module(_HOMES[name], __name__), name)
            return found
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
