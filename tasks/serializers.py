"""Serializers: how arguments and results that are more than JSON are written into events, and read back.

Without one, arguments and results are JSON: exactly its types, a tuple as a list, all else refused. A serializer is
given to a broker, for all of its tasks, or to one task. An event names the one that it was written with, except JSON.

A worker reads a message only by a serializer that its own task or broker has, by JSON or by `MsgspecSerializer`: what
stands in the journal must not choose code that the worker's author has not chosen.
"""

import base64
import binascii
import typing
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Final

import msgspec
import orjson

from ..journal.json_values import check_plain, explain
from .errors import SerializationError, ValidationError
from .limits import SERIALIZER_NAME_CHARS_MAX


class Serializer(ABC):
    """Writes values as text and reads them back. A subclass has a `name`, which events hold, and two static methods.

    Of a message `forward` is given the list `[args, kwargs]`, of an outcome the result.

    - `is_json`: what `forward` returns is JSON. It is stored as such, so that every tool can show it.
    - `is_typed`: `reverse` alone does not give back what `forward` was given; `convert` does, if it knows the type.
      Then arguments are checked at submission: each has to come back equal, by the annotation of its parameter.
    """

    name: ClassVar[str] = ""
    is_json: ClassVar[bool] = False
    is_typed: ClassVar[bool] = False

    @staticmethod
    @abstractmethod
    def forward(obj: Any) -> str | None:
        """Return the text for a value; any exception refuses the value."""

    @staticmethod
    @abstractmethod
    def reverse(obj: Any) -> Any:
        """Return the value of a text that `forward` has returned."""

    @staticmethod
    def convert(value: Any, kind: Any) -> Any:
        """Return what `reverse` has returned as a value of the type `kind`, where the caller knows the type."""
        return value


class JsonSerializer(Serializer):
    """JSON's types and no others; the default. `TypeError` for a value that JSON would change."""

    name: ClassVar[str] = "json"
    is_json: ClassVar[bool] = True

    @staticmethod
    def forward(obj: Any) -> str | None:
        """Return JSON text; None for None, as in the reference."""
        if obj is None:
            return None
        try:
            check_plain(obj, "the value", ranged=True)
            return _json(obj)
        except ValueError as error:
            raise TypeError(str(error)) from error

    @staticmethod
    def reverse(obj: Any) -> Any:
        """Return the value of JSON text; None for None."""
        return None if obj is None else orjson.loads(obj)

    @staticmethod
    def convert(value: Any, kind: Any) -> Any:
        """See `Serializer.convert`; the types are those of `MsgspecSerializer`."""
        return MsgspecSerializer.convert(value, kind)


class MsgspecSerializer(Serializer):
    """JSON by type annotations: dates, times, UUIDs, Decimals, enumerations, dataclasses, Structs, sets, bytes.

    A worker decodes each argument as its parameter is annotated, a reader a result as it asks by `type=`. The stored
    form is JSON, which every tool can show.
    """

    name: ClassVar[str] = "msgspec"
    is_json: ClassVar[bool] = True
    is_typed: ClassVar[bool] = True

    @staticmethod
    def forward(obj: Any) -> str | None:
        """Return JSON text. `TypeError` or `ValueError` for a value of a type that msgspec does not know."""
        plain = msgspec.to_builtins(obj, str_keys=True)
        check_plain(plain, "the value", ranged=True)
        return _json(plain)

    @staticmethod
    def reverse(obj: Any) -> Any:
        """Return the value of JSON text, in JSON's types."""
        return orjson.loads(obj)

    @staticmethod
    def convert(value: Any, kind: Any) -> Any:
        """Return a value in JSON's types as one of the type `kind`; `msgspec.ValidationError` if it is none."""
        return msgspec.convert(value, kind, str_keys=True)


class BinarySerializer(Serializer):
    """Any object that `pickle` can hold. Dangerous: reading a pickle runs code that its writer has chosen.

    A process that can append to the journal can so run any code in each worker that has this serializer, and in each
    program that reads results by it. Use it only where all writers of the journal are trusted like the worker's own
    code. It is off unless given, to the task or broker of both sides. Tools that show the journal never unpickle.
    """

    name: ClassVar[str] = "binary"

    @staticmethod
    def forward(obj: Any) -> str | None:
        """Return the pickle of an object, as base64 text."""
        import pickle  # here, since few programs use it

        return base64.b64encode(pickle.dumps(obj, protocol=pickle.HIGHEST_PROTOCOL)).decode()

    @staticmethod
    def reverse(obj: Any) -> Any:
        """Return the object of a pickle; this runs code that the writer has chosen."""
        import pickle

        return pickle.loads(base64.b64decode(obj, validate=True))  # noqa: S301 - its purpose, stated in the class


def _json(plain: Any) -> str:
    encoded = orjson.dumps(plain)
    if encoded.find(b"null") >= 0:
        explain(plain, "the value")  # NaN and infinite numbers are written as null
    return encoded.decode()


AnySerializer = Serializer | type[Serializer]

_SAFE: Final[tuple[type[Serializer], ...]] = (JsonSerializer, MsgspecSerializer)
_BUILT_IN: Final[tuple[type[Serializer], ...]] = (*_SAFE, BinarySerializer)
# The serializers that this process writes with, by name. Only what it writes: reading needs the task's own.
_writers: dict[str, AnySerializer] = {each.name: each for each in _BUILT_IN}


def checked_serializer(serializer: object) -> AnySerializer | None:
    """Return the serializer that was given to a task or broker, None for JSON; from now on messages can name it.

    `ValidationError` if it is none, or has no name, or another one has its name.
    """
    if serializer is None:
        return None
    kind = serializer if isinstance(serializer, type) else type(serializer)
    if not issubclass(kind, Serializer):
        raise ValidationError(
            f"serializer is a Serializer, such as MsgspecSerializer, got {serializer!r:.80}. Write a subclass of "
            "Serializer with a name, forward(obj) and reverse(obj)"
        )
    name = kind.name
    if not (isinstance(name, str) and name.isidentifier() and len(name) <= SERIALIZER_NAME_CHARS_MAX):
        raise ValidationError(
            f"a serializer has a name, a word of at most {SERIALIZER_NAME_CHARS_MAX} characters that events hold; "
            f'{kind.__qualname__} has {name!r:.80}. Write name = "…" in its class'
        )
    if getattr(kind, "__abstractmethods__", None):
        raise ValidationError(f"{kind.__qualname__} is abstract: give it forward(obj) and reverse(obj)")
    given: AnySerializer = serializer  # type: ignore[assignment]
    known = _writers.setdefault(name, given)
    other = known if isinstance(known, type) else type(known)
    if _place(other) != _place(kind):
        raise ValidationError(
            f"two serializers have the name {name!r}: {'.'.join(_place(other))} and {'.'.join(_place(kind))}. Give "
            "each a name of its own"
        )
    _writers[name] = given
    return None if kind is JsonSerializer else given


def writer_named(name: str) -> AnySerializer:
    """Return the serializer by which this process writes; `ValidationError` if no task or broker here has it."""
    found = _writers.get(name)
    if found is None:
        raise ValidationError(
            f"no task or broker of this process has the serializer {name!r}. It has {', '.join(sorted(_writers))}: "
            "give it to the task, @task(broker, serializer=…), or to the broker"
        )
    return found


def reader_named(name: str, allowed: Iterable[AnySerializer | None], what: str) -> AnySerializer:
    """Return the serializer by which to read `what`: JSON, msgspec, or one of the allowed ones.

    `SerializationError` if it is none of these.
    """
    found = next((each for each in (*allowed, *_SAFE) if each is not None and each.name == name), None)
    if found is None:
        danger = " Reading it runs code that the writer has chosen, so it is off unless given on both sides."
        raise SerializationError(
            f"{what} was written with the serializer {name!r}, which was not given here."
            f"{danger if name == BinarySerializer.name else ''} Give it to the task or broker, serializer=…, in the "
            "worker's code as well, and to ResultStore(journal, serializer=…) where results are read"
        )
    return found


def stored(serializer: AnySerializer, value: Any, what: str) -> bytes:
    """Return the JSON by which a value stands in an event: itself if the serializer writes JSON, else a string.

    `SerializationError` if the serializer refuses the value.
    """
    try:
        text = serializer.forward(value)
        if text is None:
            return b"null"
        return text.encode() if serializer.is_json else orjson.dumps(text)
    except Exception as error:  # the serializer's own code may raise anything
        raise SerializationError(f"{what} cannot be written by the serializer {serializer.name!r}: {error}") from error


def read_back(serializer: AnySerializer, plain: Any, what: str) -> Any:
    """Return the value for what stands in an event, decoded as JSON; `SerializationError` if that fails."""
    try:
        return serializer.reverse(_json(plain) if serializer.is_json else plain)
    except Exception as error:  # the serializer's own code may raise anything
        raise SerializationError(f"{what} cannot be read by the serializer {serializer.name!r}: {error}") from error


def typed_result(plain: Any, name: str, allowed: Sequence[AnySerializer], wanted: Any, task_id: str) -> Any:
    """Return the result of a task for what stands in its outcome, decoded as JSON, and the serializer named there.

    `wanted` is the type that the caller asks for, None for none, or the task, whose serializer is allowed as well.
    """
    if not name and wanted is None:
        return plain
    what = f"the result of task {task_id}"
    function = getattr(wanted, "function", None)
    if function is not None:
        allowed = [*allowed, wanted.serializer]
        wanted = typing.get_type_hints(function, include_extras=True).get("return")
    serializer = reader_named(name or JsonSerializer.name, allowed, what)
    value = read_back(serializer, plain, what) if name else plain
    if wanted is None:
        return value
    try:
        return serializer.convert(value, wanted)
    except (msgspec.ValidationError, TypeError, ValueError) as error:
        raise SerializationError(f"{what} cannot be read as {wanted}: {error}") from error


def shown(name: str, text: object) -> str:
    """Describe what a serializer has written, for display: its size, and nothing is decoded."""
    if name == BinarySerializer.name and isinstance(text, str):
        try:
            return f"<binary: {len(base64.b64decode(text, validate=True)):,} bytes>"
        except binascii.Error:
            pass
    return f"<{name}: {len(text):,} characters>" if isinstance(text, str) else f"<{name}>"


def _place(kind: type) -> tuple[str, str]:
    return kind.__module__, kind.__qualname__
