"""Decide whether a worker's function is the one for which a task was made. Pure.

Two packages may share a journal and each have a function `send`. So a submission names its function, as
`module:qualname`, and a worker lists its functions under each name. These texts are compared and never imported.
"""

import msgspec


class Accepts(msgspec.Struct, frozen=True, omit_defaults=True):
    """The functions that a worker accepts under one name of a task.

    - `functions`: the worker runs tasks made for these; empty if the worker's function has no name.
    - `named`: whether the name was given to the worker's task explicitly, and not taken from its function. Then it
      matches all submissions whose name was given explicitly, too.
    """

    functions: tuple[str, ...] = ()
    named: bool = False

    def takes(self, function: str, *, named: bool) -> bool:
        """Return whether the worker runs a task made for `function`; empty if the submitter did not name it.

        `named`: the submitter gave the task its name explicitly.
        """
        if not function or not self.functions or (named and self.named):
            return True
        return any(is_same(function, own) for own in self.functions)


def is_same(one: str, other: str) -> bool:
    """Return whether two texts name one function: the same place in a module, imported by a longer or shorter path."""
    if one == other:
        return True
    module, _, place = one.partition(":")
    other_module, _, other_place = other.partition(":")
    if place != other_place:
        return False
    return module.endswith(f".{other_module}") or other_module.endswith(f".{module}")
