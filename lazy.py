"""Import a module of a package when one of its public names is first used: a program pays for what it uses."""

import sys
from collections.abc import Callable, Collection, Sequence
from importlib import import_module


def searching(
    package: str, names: Collection[str], modules: Sequence[str]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return the functions `__getattr__` and `__dir__` of a package that exports `names`.

    A name is looked for in `modules` in their order, so those that are cheap to import stand first.
    """

    def find(name: str) -> object:
        if name in names:
            for module in modules:
                home = import_module(f".{module}", package)
                if name in getattr(home, "__all__", vars(home)):
                    found: object = getattr(home, name)
                    setattr(sys.modules[package], name, found)
                    return found
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def listed() -> list[str]:
        return sorted({*vars(sys.modules[package]), *names})

    return find, listed
