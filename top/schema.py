"""Load and dump tasks as the schemas of the Top Framework do."""

import json
from collections.abc import Collection, Mapping
from typing import Any, Generic, Protocol, Self, TypeVar

from .errors import InvalidTask


class Loadable(Protocol):
    """What a schema needs of a class of tasks."""

    def to_dict(self, encode_json: bool = False) -> dict[str, Any]:
        """Return the fields by name."""

    @classmethod
    def from_dict(cls, kvs: dict[str, Any], *, infer_missing: bool = False) -> Self:
        """Return the task of these fields."""


T = TypeVar("T", bound=Loadable)


class TaskSchema(Generic[T]):
    """Loads and dumps tasks of one class, or lists of them with `many`."""

    def __init__(self, kind: type[T], only: Collection[str] | None, exclude: Collection[str], *, many: bool) -> None:
        self._kind = kind
        self._only = None if only is None else frozenset(only)
        self._exclude = frozenset(exclude)
        self.many = many

    def load(self, data: Any, *, many: bool | None = None) -> Any:
        """Return the task of that data, or the list of tasks."""
        if self.many if many is None else many:
            return [self._load(each) for each in data]
        return self._load(data)

    def loads(self, json_data: str | bytes, *, many: bool | None = None) -> Any:
        """Return what the JSON holds, as `load` does."""
        return self.load(json.loads(json_data), many=many)

    def dump(self, obj: Any, *, many: bool | None = None) -> Any:
        """Return the data of a task, or of a list of tasks."""
        if self.many if many is None else many:
            return [self._chosen(each.to_dict()) for each in obj]
        return self._chosen(obj.to_dict())

    def dumps(self, obj: Any, *, many: bool | None = None) -> str:
        """Return the same as JSON."""
        return json.dumps(self.dump(obj, many=many))

    def validate(self, data: Any, *, many: bool | None = None) -> dict[str, list[str]]:
        """Return what is wrong with the data, by field; empty if it can be loaded."""
        try:
            self.load(data, many=many)
        except InvalidTask as error:
            return {str(error).partition(" ")[0]: [str(error)]}
        return {}

    def _load(self, data: Mapping[str, Any]) -> T:
        return self._kind.from_dict(self._chosen(data) if isinstance(data, Mapping) else data)

    def _chosen(self, data: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: value
            for name, value in data.items()
            if name not in self._exclude and (self._only is None or name in self._only)
        }
