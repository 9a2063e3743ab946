"""The command line, `journeyman`: one file for each command or group of them, put together in `app`."""

from .app import main

__all__ = ["main"]
