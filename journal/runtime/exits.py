"""Registers, in one list, the handlers that are called when the program ends, while its daemon threads still run."""

import atexit
import logging
from collections.abc import Callable
from typing import Final

logger = logging.getLogger("journeyman")
_handlers: Final[list[Callable[[], None]]] = []


def at_exit(handler: Callable[[], None]) -> None:
    """Call the handler when the program ends; the last registered first, so that each finds what it was built on."""
    _handlers.append(handler)


def _leave() -> None:
    for handler in reversed(_handlers):
        try:
            handler()
        except KeyboardInterrupt:  # Ctrl-C ends the wait of one handler
            continue
        except Exception:
            logger.exception("a handler failed as the program ended")


atexit.register(_leave)
