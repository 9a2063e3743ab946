"""The command line: `journeyman worker`, `tail`, `history`, `why`, `status`, `demo`."""

from .app import main

__all__ = ["main"]
