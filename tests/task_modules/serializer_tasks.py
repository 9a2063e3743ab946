"""Tasks with serializers, in threads, coroutines and child processes."""

import dataclasses
import datetime as dt
import decimal
import enum
import json
import uuid
from typing import Any

import journeyman as jm
import msgspec

broker = jm.Broker("memory://serializers", serializer=jm.MsgspecSerializer)


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Item:
    sku: str
    price: decimal.Decimal


class Order(msgspec.Struct):
    items: list[Item]
    at: dt.datetime
    tags: set[str] = set()


class Point:
    """A value that only pickle knows."""

    def __init__(self, x: int) -> None:
        self.x = x

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and other.x == self.x

    def __hash__(self) -> int:
        return self.x


@jm.task(broker, max_retries=0)
def ship(order: Order, by: Colour, *ids: uuid.UUID, raw: bytes = b"", **more: dt.date) -> Order:
    assert isinstance(order, Order)
    assert isinstance(by, Colour)
    assert all(isinstance(each, uuid.UUID) for each in ids)
    assert all(type(each) is dt.date for each in more.values())
    return Order(order.items, order.at, order.tags | {by.value, raw.decode()})


@jm.task(broker, max_retries=0, mechanism="process")
def ship_in_child(order: Order) -> set[str]:
    return {type(order).__name__, type(order.at).__name__}


@jm.task(broker, max_retries=0)
async def later(when: dt.datetime) -> dt.datetime:
    return when + dt.timedelta(days=1)


@jm.task(broker, max_retries=0)
def loose(anything: Any) -> Any:
    return anything


@jm.task(broker, max_retries=0, serializer=jm.JsonSerializer)
def plain(number: int) -> int:
    return number


@jm.task(broker, max_retries=0, serializer=jm.BinarySerializer)
def move(point: Point, by: int = 1) -> Point:
    return Point(point.x + by)


class Tagged(jm.Serializer):
    """JSON in which a date is an object with a tag."""

    name = "tagged"
    is_json = True

    @staticmethod
    def forward(obj: Any) -> str:
        return json.dumps(obj, default=lambda value: {"date": value.isoformat()})

    @staticmethod
    def reverse(obj: Any) -> Any:
        return json.loads(obj, object_hook=lambda o: dt.date.fromisoformat(o["date"]) if list(o) == ["date"] else o)


@jm.task(broker, max_retries=0, serializer=Tagged)
def tomorrow(day: Any) -> Any:
    return [day + dt.timedelta(days=1)]


TASKS: list[jm.Task[Any, Any]] = [ship, ship_in_child, later, loose, plain, move, tomorrow]
