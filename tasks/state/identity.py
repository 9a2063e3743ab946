"""Whether a worker's function is the one that a task was made for. Pure.

Two packages may each have a function `send` and one journal. A submission says for which function it was made, as
`module:qualname`, and a worker says which functions it has under each name. That text is compared and never imported.
"""

import msgspec


class Accepts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a worker accepts under one name of a task.

    - `functions`: those for which a task was made that it runs; empty where the worker's function has no name.
    - `named`: whether the name was given to the worker's task, and not taken from its function. Then it is meant for
      all that submit under that name and give it as well.
    """

    functions: tuple[str, ...] = ()
    named: bool = False

    def takes(self, function: str, *, named: bool) -> bool:
        """Whether a task is run that was made for `function`; `named`: its submitter gave it its name.

        An empty `function` is one that the submitter did not say.
        """
        if not function or not self.functions or (named and self.named):
            return True
        return any(is_same(function, own) for own in self.functions)


def is_same(one: str, other: str) -> bool:
    """Whether two texts name one function: the same place in a module imported by a longer or a shorter path."""
    if one == other:
        return True
    module, _, place = one.partition(":")
    other_module, _, other_place = other.partition(":")
    if place != other_place:
        return False
    return module.endswith(f".{other_module}") or other_module.endswith(f".{module}")
