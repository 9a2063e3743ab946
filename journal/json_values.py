"""Refuse values that JSON would change: what is accepted comes back as it was, a tuple as a list.

This policy holds for all contexts, arguments, metadata and results. JSON encoders convert silently, each in its own
way: bytes become base64, sets lists, integer keys text, dates and members of enumerations strings. A reader would then
get other values than the caller has passed.
"""

import dataclasses
import datetime as dt
import decimal
import enum
import json
import marshal
from collections.abc import Iterable
from math import isfinite
from typing import Any, Final

from .limits import CONTEXT_DEPTH_MAX

_ATOMS: Final = frozenset({str, int, float, bool, type(None)})
_LISTS: Final = frozenset({list, tuple})
_TEXT: Final = frozenset({str})
_WHOLE_MIN: Final = -(2**63)
_WHOLE_MAX: Final = 2**64 - 1

# What to pass instead of a value of such a type, the first that matches.
_WAYS_OUT: Final[tuple[tuple[type | tuple[type, ...], str], ...]] = (
    ((bytes, bytearray, memoryview), "pass text, such as value.decode() or base64"),
    ((set, frozenset), "pass a list, such as sorted(value)"),
    ((dt.date, dt.time), "pass text, such as value.isoformat()"),
    (dt.timedelta, "pass a number, such as value.total_seconds()"),
    (enum.Enum, "pass value.name or value.value"),
    (decimal.Decimal, "pass text, such as str(value)"),
    (dict, "pass a plain dictionary, such as dict(value)"),
    ((list, tuple), "pass a plain list, such as list(value)"),
)

_marshalled: Final = marshal.dumps
_WITHOUT_REFERENCES: Final = 2  # the version of the format: later ones look up each part
_BROKEN: Final = "text with half a surrogate pair, which UTF-8 cannot hold; pass it decoded, or as base64"
NULL: Final = b"null"  # looked for by `find`: `in` takes the bytes for a number first, at four times the cost
is_atoms: Final = _ATOMS.issuperset  # called with the types of values


class NotPlain(ValueError):
    """A value that JSON cannot hold without changing it; the message names its place."""


def refuse_infinite(value: Any, encoded: bytes) -> None:
    """Raise `ValueError` if `value`, of JSON's types, has an infinite number or NaN: encoders write null instead.

    A null in the encoding is rare and cheap to search for, so the value is walked through only if there is one.
    """
    if encoded.find(NULL) >= 0:
        try:
            json.dumps(value, allow_nan=False)
        except ValueError as error:
            raise ValueError(
                "it has NaN or an infinite number, which JSON cannot represent; write them as None or as text"
            ) from error


def check_plain(value: Any, place: str, *, ranged: bool = False) -> None:
    """Raise `NotPlain` unless `value` is text, a number, True, False, None, or a list, tuple or dictionary of such.

    Keys must be text; tuples come back as lists. `place` is the name of the value, such as `kwargs`; the error names
    the place in it, such as `kwargs.when[3]`. Without `ranged` whole numbers of more than 64 bits are left to the
    encoder, if that refuses them; `explain` then names the place.
    """
    if not _is_plain(value, 0, ranged=ranged):
        explain(value, place)


def refuse_changed(value: Any, place: str) -> None:
    """Raise `NotPlain` as `check_plain` does, for a value that goes through orjson: faster where values are nested.

    Of the types that orjson converts, `marshal` knows none; what else it knows, such as bytes and sets, orjson refuses.
    """
    if not is_unchanged(value):
        explain(value, place)


def is_unchanged(value: Any) -> bool:
    """Return whether orjson would convert no part of a value; what it refuses itself does not count."""
    try:
        _marshalled(value, _WITHOUT_REFERENCES)
    except ValueError:
        return False
    return True


def explain(value: Any, place: str, depth: int = 0) -> None:
    """Raise `NotPlain` for the first part of `value` that JSON cannot hold, numbers and text beyond it included."""
    kind = type(value)
    if depth > CONTEXT_DEPTH_MAX:
        raise NotPlain(f"{place:.200}… has lists or dictionaries in one another more than {CONTEXT_DEPTH_MAX} deep")
    if kind in _LISTS:
        for index, each in enumerate(value):
            explain(each, f"{place}[{index}]", depth + 1)
    elif kind is dict:
        for key, each in value.items():
            if type(key) is not str:
                raise NotPlain(f"{place} has the key {_shown(key)} of type {_name(type(key))}; write keys as text")
            if _is_broken(key):
                raise NotPlain(f"{place} has the key {_shown(key)}, {_BROKEN}")
            explain(each, f"{place}.{key:.80}", depth + 1)
    else:
        _explain_atom(value, place)


def _explain_atom(value: Any, place: str) -> None:
    kind = type(value)
    if kind not in _ATOMS:
        raise NotPlain(f"{place} is a value of type {_name(kind)}, {_shown(value)}; {_way_out(value)}")
    if kind is str and _is_broken(value):
        raise NotPlain(f"{place} is {_shown(value)}, {_BROKEN}")
    if kind is int and not _WHOLE_MIN <= value <= _WHOLE_MAX:
        raise NotPlain(f"{place} is a whole number of more than 64 bits; pass it as text")
    if kind is float and not isfinite(value):
        raise NotPlain(f"{place} is {value}, and JSON has neither NaN nor an infinite number; pass None or text")


def _is_plain(value: Any, depth: int, *, ranged: bool) -> bool:
    """Return whether JSON holds the value unchanged; for most values without a Python step for each part."""
    kind = type(value)
    parts: Iterable[Any]
    if kind is dict:
        if not _TEXT.issuperset(map(type, value)):
            return False
        parts = value.values()
    elif kind in _LISTS:
        parts = value
    else:
        return kind in _ATOMS and not (ranged and kind is int and not _WHOLE_MIN <= value <= _WHOLE_MAX)
    kinds = set(map(type, parts))
    if ranged and int in kinds and not all(_WHOLE_MIN <= each <= _WHOLE_MAX for each in parts if type(each) is int):
        return False
    if kinds <= _ATOMS:
        return True
    inner = [each for each in parts if type(each) not in _ATOMS]
    return depth < CONTEXT_DEPTH_MAX and all(_is_plain(each, depth + 1, ranged=ranged) for each in inner)


def _is_broken(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _way_out(value: object) -> str:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return "pass a dictionary, such as dataclasses.asdict(value)"
    return next((way for kind, way in _WAYS_OUT if isinstance(value, kind)), "pass plain data, such as str(value)")


def _shown(value: object) -> str:
    try:
        return f"{value!r:.80}"
    except Exception:  # its own code may fail
        return "which cannot be shown"


def _name(kind: type) -> str:
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
