"""Refuse values that JSON would change: arguments, metadata and results round-trip unchanged, or are refused.

Encoders convert silently, each in its own way: bytes become base64, sets lists, integer keys text, dates and members of
enumerations strings. The task would then run with other values than the caller has passed.
"""

from collections.abc import Collection
from typing import Any, Final

from ..journal.limits import CONTEXT_DEPTH_MAX

_ATOMS: Final = frozenset({str, int, float, bool, type(None)})
_LISTS: Final = frozenset({list, tuple})
_TEXT: Final = frozenset({str})
_WHOLE_MIN: Final = -(2**63)
_WHOLE_MAX: Final = 2**64 - 1

_WAYS_OUT: Final[dict[type, str]] = {
    bytes: "pass text, such as value.decode() or base64",
    bytearray: "pass text, such as value.decode() or base64",
    set: "pass a list, such as sorted(value)",
    frozenset: "pass a list, such as sorted(value)",
}


class NotPlain(ValueError):
    """A value that JSON cannot hold without changing it; the message names its place."""


def check_plain(value: Any, place: str, depth: int = 0) -> None:
    """Raise `NotPlain` unless `value` is text, a number, True, False, None, or a list, tuple or dictionary of such.

    Keys must be text; tuples come back as lists. `place` is the name of the value, such as `kwargs`; the error names
    the place in it, such as `kwargs.when[3]`.
    """
    kind = type(value)
    if depth > CONTEXT_DEPTH_MAX:
        raise NotPlain(f"{place:.200}… has lists or dictionaries in one another more than {CONTEXT_DEPTH_MAX} deep")
    if kind in _LISTS:
        if not _are_atoms(value):
            for index, each in enumerate(value):
                check_plain(each, f"{place}[{index}]", depth + 1)
    elif kind is dict:
        _check_keys(value, place)
        if not _are_atoms(value.values()):
            for name, each in value.items():
                check_plain(each, f"{place}.{name:.80}", depth + 1)
    else:
        _check_atom(value, kind, place)


def _check_keys(value: dict[Any, Any], place: str) -> None:
    if not _TEXT.issuperset(map(type, value)):
        key = next(key for key in value if type(key) is not str)
        raise NotPlain(f"{place} has the key {key!r:.80} of type {type(key).__name__}; write keys as text")


def _check_atom(value: Any, kind: type, place: str) -> None:
    if kind not in _ATOMS:
        way = _WAYS_OUT.get(kind, "pass plain data, such as str(value)")
        raise NotPlain(f"{place} is a value of type {_name(kind)}, {value!r:.80}; {way}")
    if kind is int and not _WHOLE_MIN <= value <= _WHOLE_MAX:
        raise NotPlain(f"{place} is a whole number of more than 64 bits; pass it as text")


def _are_atoms(values: Collection[Any]) -> bool:
    """Return whether all values are valid atoms, without a Python step for each."""
    kinds = set(map(type, values))
    if not kinds <= _ATOMS:
        return False
    return int not in kinds or all(_WHOLE_MIN <= each <= _WHOLE_MAX for each in values if type(each) is int)


def _name(kind: type) -> str:
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
