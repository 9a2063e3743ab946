"""The commands under a heading of a README, as a reader would type them."""

import re
import shlex
from pathlib import Path


def commands_under(heading: str, readme: Path) -> list[list[str]]:
    """Return the indented commands of the section with this heading; `LookupError` if there is none."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", readme.read_text(), re.MULTILINE | re.DOTALL)
    if found is None:
        raise LookupError(f"{readme} has no section {heading!r}")
    return [shlex.split(line) for line in re.findall(r"^    (\S.*)$", found[1], re.MULTILINE)]
