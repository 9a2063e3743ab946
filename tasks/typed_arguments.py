"""Give arguments the types of their parameters, for serializers that need to know them.

The submitting program and the worker both take the annotations of the task's own function. An argument whose annotation
does not state its type would reach the worker as plain JSON; it is refused when it is submitted.
"""

import dataclasses
import inspect
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from .errors import SerializationError, ValidationError
from .serializers import AnySerializer, stored

_PLACED: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_NAMED: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class _Types(NamedTuple):
    """The annotations of a function's parameters: by position and by name, and of those beyond; Any without one."""

    placed: list[Any]
    more_placed: Any
    named: dict[str, Any]
    more_named: Any


class ArgumentTypes:
    """The types of the parameters of `function`; None if another `op` uses the arguments in its own way."""

    def __init__(self, function: Callable[..., Any] | None, task_name: str) -> None:
        self._function = function
        self._task_name = task_name
        self._found: _Types | None = None

    def restored(
        self, serializer: AnySerializer, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments that were read, each as a value of its parameter's type; errors name the place."""
        given, named = list(args), dict(kwargs)
        for place, container, key, kind in self._each(given, named):
            container[key] = self._converted(serializer, container[key], kind, place)
        return given, named

    def check(self, serializer: AnySerializer, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Raise `ValidationError` for an argument that would not come back as it is."""
        for place, container, key, kind in self._each(list(args), dict(kwargs)):
            sent = container[key]
            came = orjson.loads(stored(serializer, sent, f"{place} of {self._task_name}"))
            came = self._converted(serializer, came if serializer.is_json else serializer.reverse(came), kind, place)
            if not _same(sent, came):
                raise ValidationError(
                    f"{place} of {self._task_name} is {sent!r:.80}, a value of type {_name(sent)}, and would come back "
                    f"as {came!r:.80}, a value of type {_name(came)}: the parameter is annotated "
                    f"{'with nothing' if kind is Any else _shown(kind)}. Annotate it with the type that it takes"
                )

    def _converted(self, serializer: AnySerializer, value: Any, kind: Any, place: str) -> Any:
        if kind is Any:
            return value
        try:
            return serializer.convert(value, kind)
        except (msgspec.ValidationError, TypeError, ValueError) as error:
            raise SerializationError(
                f"{place} of {self._task_name} is {value!r:.80} and cannot be read as {_shown(kind)}, which its "
                f"parameter is annotated with: {error}"
            ) from error

    def _each(self, args: list[Any], kwargs: dict[str, Any]) -> Iterator[tuple[str, Any, Any, Any]]:
        """Yield for each argument its place, its container, the key in it, and its type."""
        types = self._types()
        for index in range(len(args)):
            kind = types.placed[index] if index < len(types.placed) else types.more_placed
            yield f"args[{index}]", args, index, kind
        for name in kwargs:
            yield f"kwargs.{name}", kwargs, name, types.named.get(name, types.more_named)

    def _types(self) -> _Types:
        if self._found is None:
            self._found = _types_of(self._function, self._task_name)
        return self._found


def _types_of(function: Callable[..., Any] | None, task_name: str) -> _Types:
    if function is None:
        return _Types([], Any, {}, Any)
    try:
        parameters = inspect.signature(function).parameters
        hints = typing.get_type_hints(function, include_extras=True)
    except Exception as error:  # an annotation is an expression, which may raise anything
        raise ValidationError(
            f"the annotations of {task_name} cannot be evaluated: {error}. Its serializer needs their types: import "
            "them where the function is defined, and not only for type checkers"
        ) from error
    types = _Types([], Any, {}, Any)
    for name, parameter in parameters.items():
        kind = hints.get(name, Any)
        if parameter.kind in _PLACED:
            types.placed.append(kind)
        if parameter.kind in _NAMED:
            types.named[name] = kind
        elif parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            types = types._replace(more_placed=kind)
        elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
            types = types._replace(more_named=kind)
    return types


def _same(sent: Any, came: Any) -> bool:
    """Return whether a value has come back as it was sent; a tuple may be a list, a whole number a float."""
    kinds = (type(sent), type(came))
    if kinds[0] is not kinds[1] and kinds not in _ALIKE:
        return False
    if isinstance(sent, list | tuple):
        return len(sent) == len(came) and all(map(_same, sent, came))
    if isinstance(sent, dict):
        return sent.keys() == came.keys() and all(_same(value, came[key]) for key, value in sent.items())
    names: Sequence[str] = ()
    if isinstance(sent, msgspec.Struct):
        names = sent.__struct_fields__
    elif dataclasses.is_dataclass(sent):
        names = [each.name for each in dataclasses.fields(sent)]
    return all(_same(getattr(sent, name), getattr(came, name)) for name in names) if names else bool(sent == came)


_ALIKE: Final = frozenset({(list, tuple), (tuple, list), (int, float)})


def _name(value: object) -> str:
    return type(value).__qualname__


def _shown(kind: Any) -> str:
    return kind.__qualname__ if isinstance(kind, type) else str(kind)
