"""The demonstration: a real job over the Python standard library, with a worker killed on the way."""

from .interruption import Stopped
from .run import DemoFailed, run_demo

__all__ = ["DemoFailed", "Stopped", "run_demo"]
