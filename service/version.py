"""The version of the service, as its answers name it."""

from importlib.metadata import version
from typing import Final

VERSION: Final = version("journeyman")
