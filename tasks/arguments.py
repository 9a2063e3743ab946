"""Check the arguments of a task against its function's signature when it is submitted, not when it runs."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .errors import ValidationError

_EMPTY = inspect.Parameter.empty
_PLACED = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class Signature:
    """The parameters of a function. `supplied` names one that the worker passes, so the caller need not."""

    def __init__(self, function: Callable[..., Any], supplied: str | None = None) -> None:
        self._name = getattr(function, "__name__", repr(function))
        self._supplied = supplied
        try:
            self._signature: inspect.Signature | None = inspect.signature(function)
        except (TypeError, ValueError):  # some functions written in C have no signature
            self._signature = None
            return
        parameters = self._signature.parameters.values()
        # With these nearly every call is checked without `bind`, at a tenth of the cost.
        self._placed = [each.name for each in parameters if each.kind in _PLACED]
        self._named = frozenset(each.name for each in parameters if each.kind in _NAMED)
        self._required = frozenset(
            each.name for each in parameters if each.default is _EMPTY and each.kind in (*_PLACED, *_NAMED)
        ) - {supplied}
        self._unnamed = [
            each.name
            for each in parameters
            if each.kind is inspect.Parameter.POSITIONAL_ONLY and each.default is _EMPTY
        ]
        self._plain = all(each.kind in (*_PLACED, *_NAMED) for each in parameters)

    def check(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Refuse arguments that the function cannot be called with; `ValidationError` names the parameter."""
        if self._signature is None:
            return
        if self._plain and len(args) <= len(self._placed):
            by_place = self._placed[: len(args)]
            if (
                kwargs.keys() <= self._named
                and kwargs.keys().isdisjoint(by_place)
                and self._required.difference(by_place) <= kwargs.keys()
            ):
                return
        self._bind(self._signature, args, kwargs)

    def _bind(self, signature: inspect.Signature, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        given = dict(kwargs)
        if self._supplied is not None and self._supplied not in given:
            given[self._supplied] = None
        try:
            signature.bind(*args, **given)
            self._refuse_unnamed(args)
        except TypeError as error:
            raise ValidationError(
                f"{self._name}{signature} cannot be called with these arguments: {error}; got {len(args)} positional "
                f"and {', '.join(map(repr, kwargs)) or 'no'} keyword arguments"
            ) from error

    def _refuse_unnamed(self, args: Sequence[Any]) -> None:
        """Refuse a missing positional-only argument: `bind` of CPython 3.13.0 takes a keyword of its name for it."""
        if len(args) < len(self._unnamed):
            raise TypeError(f"missing a required argument: {self._unnamed[len(args)]!r}")


def positional(task_name: str, args: object) -> list[Any]:
    """Return the positional arguments as a list; `ValidationError` if they are no list or tuple."""
    if args is None:
        return []
    if not isinstance(args, list | tuple):
        raise ValidationError(
            f"args are the positional arguments of {task_name}, as a list; got {args!r:.80}, a value of type "
            f"{type(args).__name__}. Write args=[…] for one argument as well"
        )
    return list(args)


def named(task_name: str, kwargs: object) -> dict[str, Any]:
    """Return the keyword arguments as a dictionary; `ValidationError` if they are none, or a key is not text."""
    if kwargs is None:
        return {}
    if not isinstance(kwargs, Mapping) or not all(isinstance(name, str) for name in kwargs):
        raise ValidationError(
            f"kwargs are the keyword arguments of {task_name}, as a dictionary with their names; got {kwargs!r:.80}"
        )
    return dict(kwargs)
