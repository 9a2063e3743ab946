"""The version that the service says it has."""

from importlib.metadata import version
from typing import Final

VERSION: Final = version("journeyman")
