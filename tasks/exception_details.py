"""Describe an exception as plain data, and make an exception of that data again."""

import importlib
import traceback
from typing import Any, NamedTuple, Self


class ExceptionDetails(NamedTuple):
    """An exception as data.

    `name` is its class with the module, as in `decimal.InvalidOperation` (without it for Python's own classes), `text`
    its message, `traceback` the lines as Python prints them; None for what is not known.
    """

    name: str
    text: str | None = None
    traceback: str | None = None

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        """Return the details that `as_dict` has returned."""
        return cls(str(data.get("name", "")), data.get("text"), data.get("traceback"))

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as a dictionary."""
        return self._asdict()

    def as_exception(self, strict: bool = True) -> BaseException:
        """Return an exception of the named class with this text; nothing is raised by its traceback.

        The class is imported. If that fails, or the class cannot be made of one text: with `strict` the error is
        raised (`ImportError`, `AttributeError`, `TypeError`), otherwise an `Exception` with name and text is returned.
        """
        try:
            return _made(self.name, self.text)
        except Exception:
            if strict:
                raise
            return Exception(f"{self.name}: {self.text}" if self.text else self.name)


def _made(name: str, text: str | None) -> BaseException:
    module, _, place = name.rpartition(".")
    kind = _found(module or "builtins", place)
    if not (isinstance(kind, type) and issubclass(kind, BaseException)):
        raise TypeError(f"{name} is no exception class, so no exception can be made of it")
    return kind() if text is None else kind(text)


def _found(module: str, place: str) -> Any:
    """Return what is at `place` in `module`, whose last parts may be classes that contain it."""
    try:
        return getattr(importlib.import_module(module), place)
    except ModuleNotFoundError:
        outer, dot, inner = module.rpartition(".")
        if not dot:
            raise
        return getattr(_found(outer, inner), place)


def get_exception_name(exception: BaseException | type[BaseException]) -> str:
    """Return the name of an exception's class with its module, without it for Python's own classes.

    `TypeError` for what is neither an exception nor a class of exceptions.
    """
    kind = exception if isinstance(exception, type) else type(exception)
    if not issubclass(kind, BaseException):
        raise TypeError(f"expected an exception, or its class, got {exception!r:.80}")
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def parse_exception(error: BaseException) -> ExceptionDetails:
    """Return the details of an exception, with its traceback as text; `TypeError` for what is no exception."""
    if not isinstance(error, BaseException):
        raise TypeError(f"expected an exception, such as that of an except clause, got {error!r:.80}")
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    return ExceptionDetails(get_exception_name(error), str(error), "".join(lines))
