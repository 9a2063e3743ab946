"""The names that a new package may have."""

import keyword
import re
import sys
from collections.abc import Iterable
from importlib.machinery import PathFinder
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Final

from ..limits import PACKAGE_NAME_CHARS_MAX
from ..shared.failures import BadInput

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)


def check_name(name: str) -> None:
    """Raise `BadInput`, with what to do, if no package of that name can be made or imported."""
    example = _suggested(name)
    if not _NAME.fullmatch(name) or len(name) > PACKAGE_NAME_CHARS_MAX:
        raise BadInput(
            f"a package's name has small letters, digits and underscores, begins with a letter and has at most "
            f"{PACKAGE_NAME_CHARS_MAX} characters; got {name!r}. Try: journeyman init {example}"
        )
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        raise BadInput(f"{name} is a word of Python itself; give another name. Try: journeyman init {example}")
    if name in sys.stdlib_module_names:
        raise BadInput(
            f"{name} is a module of Python's standard library, which the package would hide; give another name. "
            f"Try: journeyman init {example}"
        )
    if name in _TAKEN or name in packages_distributions() or _is_importable(name, sys.path):
        raise BadInput(
            f"{name} is a package that is installed here, and one of the two would hide the other; give another name. "
            f"Try: journeyman init {example}"
        )


# The folder of the tests beside the package.
_TAKEN: Final = frozenset({"tests"})


def _suggested(name: str) -> str:
    """Return a name that is valid, and near to the given one."""
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower(), flags=re.ASCII).strip("_").lstrip("0123456789_")
    plain = plain[: PACKAGE_NAME_CHARS_MAX - len("_tasks")] or "shop"
    return plain if _NAME.fullmatch(name) is None and not _is_known(plain) else f"{plain}_tasks"


def _is_known(name: str) -> bool:
    return keyword.iskeyword(name) or name in sys.stdlib_module_names or name in packages_distributions()


def _is_importable(name: str, path: Iterable[str]) -> bool:
    """Return whether Python finds a module of that name elsewhere than in the current directory."""
    here = Path.cwd()
    return PathFinder.find_spec(name, [each for each in path if each and Path(each).resolve() != here]) is not None
