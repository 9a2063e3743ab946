"""The command line: `journeyman worker`, `tail`, `history`, `demo`."""

from .app import main

__all__ = ["main"]
