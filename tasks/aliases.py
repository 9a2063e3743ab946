"""The present and former names of a task, and the functions that a message under each name may refer to."""

from collections.abc import Sequence

from .errors import ValidationError
from .function_names import beside, last_name
from .state.identity import Accepts


def checked_aliases(aliases: object) -> tuple[str, ...]:
    """Return the aliases; `ValidationError` says how they are written."""
    if isinstance(aliases, str) or not isinstance(aliases, Sequence):
        raise ValidationError(f"aliases are old names in a list, such as ['send_mail'], got {aliases!r:.80}")
    for alias in aliases:
        if not isinstance(alias, str) or not alias:
            raise ValidationError(f"an alias is a name, or a function as 'module:qualname', got {alias!r:.80}")
    return tuple(aliases)


def accepted_functions(name: str, function: str, aliases: Sequence[str], *, named: bool) -> dict[str, Accepts]:
    """Return, for each name of a task, the functions for which a message may have been made.

    An old name means a function in the same place; an old function means itself, under its own name. `named` says
    whether the task was given its name explicitly.
    """
    functions: dict[str, list[str]] = {name: [function] if function else []}
    given = {name} if named else set()
    for alias in aliases:
        is_function = ":" in alias
        old = last_name(alias) if is_function else alias
        known = functions.setdefault(old, [])
        if function:  # without a function's name, functions are not compared
            known.append(alias if is_function else beside(function, alias))
        if not is_function:
            given.add(old)
    return {each: Accepts(tuple(known), each in given) for each, known in functions.items()}
