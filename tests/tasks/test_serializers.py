"""Serializers: what is no JSON arrives as it was sent, or is refused; an event names the serializer that wrote it."""

import datetime as dt
import decimal
import json
import math
import pickle
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import journeyman as jm
import msgspec
import pytest
from journeyman.tasks.inspection.dead_letters import arguments
from journeyman.tasks.inspection.history import task_history
from journeyman.tasks.message_encoding import decode_message
from journeyman.tasks.serializers import reader_named
from journeyman.tasks.state import names
from support.workers import working
from task_modules.serializer_tasks import (
    TASKS,
    Colour,
    Item,
    Order,
    Point,
    Tagged,
    broker,
    later,
    loose,
    move,
    plain,
    ship,
    ship_in_child,
    tomorrow,
)

DAY = dt.date(2026, 11, 30)
AT = dt.datetime(2026, 11, 30, 12, 30, tzinfo=dt.UTC)
ORDER = Order([Item("a", decimal.Decimal("9.90"))], AT, {"new"})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[jm.ResultStore]:
    """The results of a worker that runs these tasks."""
    url = f"sqlite:///{tmp_path_factory.mktemp('serializers')}/tasks.db"
    broker.bind(url)
    with working(TASKS, url, jm.Settings(processes=1)):
        yield jm.ResultStore(broker.journal)
    broker.journal.close()


def contexts(message: jm.Message) -> dict[str, dict[str, Any]]:
    """The contexts of a task's events, by name."""
    history = broker.journal.run(task_history(broker.journal.asynchronous, message.uuid))
    return {step.event.name: step.event.context for step in history.steps}


# -- msgspec -----------------------------------------------------------------------------------------------------------


def test_typed_arguments_and_result_arrive_as_sent(store: jm.ResultStore) -> None:
    ids = [uuid.UUID(int=1), uuid.UUID(int=2)]
    message = ship.generate([ORDER, Colour.RED, *ids], {"raw": b"express", "until": DAY})
    result = store.get(message, timeout=60_000, keep=True, type=Order)
    assert result == Order(ORDER.items, AT, {"new", "red", "express"})
    assert store.get(message, keep=True, type=ship) == result
    untyped = store.get(message)
    assert (untyped["at"], untyped["items"]) == ("2026-11-30T12:30:00Z", [{"sku": "a", "price": "9.90"}])


def test_typed_arguments_stand_in_the_journal_as_json(store: jm.ResultStore) -> None:
    message = later.generate([AT])
    assert store.get(message, timeout=60_000, type=later) == AT + dt.timedelta(days=1)
    written = contexts(message)
    assert (written[names.SUBMITTED]["serializer"], written[names.SUBMITTED]["args"]) == (
        "msgspec",
        ["2026-11-30T12:30:00Z"],
    )
    assert (written[names.SUCCEEDED]["serializer"], written[names.SUCCEEDED]["result"]) == (
        "msgspec",
        "2026-12-01T12:30:00Z",
    )


def test_typed_arguments_reach_a_child_process(store: jm.ResultStore) -> None:
    result = store.get(ship_in_child.generate([ORDER]), timeout=60_000, type=ship_in_child)
    assert result == {"Order", "datetime"}


@pytest.mark.parametrize(
    ("task", "args", "kwargs", "said"),
    [
        (
            loose,
            [DAY],
            {},
            r"args\[0\] of loose is datetime.date.* would come back as .2026-11-30., .* str",
        ),
        (loose, [], {"anything": [1, {DAY}]}, r"kwargs.anything of loose .* annotated with nothing"),
        (loose, [{1: "a"}], {}, r"args\[0\] of loose is \{1: 'a'\}"),
        (later, ["tomorrow"], {}, r"args\[0\] of later is 'tomorrow' and cannot be read as datetime"),
        (later, [object()], {}, r"args\[0\] of later cannot be written by the serializer 'msgspec'"),
        (loose, [math.nan], {}, r"args\[0\] of loose .* JSON has neither NaN"),
        (loose, [2**64], {}, r"args\[0\] of loose .* more than 64 bits"),
        (ship, [ORDER, Colour.RED], {"until": AT}, r"kwargs.until of ship"),
    ],
    ids=["a date", "a set", "a number as key", "no date", "an object", "no number", "a large number", "a keyword"],
)
def test_argument_that_would_not_come_back_is_refused(
    task: jm.Task[..., Any], args: list[Any], kwargs: dict[str, Any], said: str
) -> None:
    with pytest.raises(jm.ValidationError, match=said):
        task.generate(args, kwargs)


def test_argument_of_another_type_fails_the_run(store: jm.ResultStore) -> None:
    message = jm.Message("later", args=["soon"], serializer="msgspec", max_retries=5, mechanism="async")
    broker.submit(message)
    with pytest.raises(jm.TaskFailedError, match=r"args\[0\] of later is 'soon' and cannot be read as datetime"):
        store.get(message, timeout=60_000)


@pytest.mark.parametrize("value", [AT, DAY, DAY.today, decimal.Decimal(1), b"raw", uuid.UUID(int=1), Colour.RED, {1}])
def test_unannotated_value_is_never_changed_in_silence(value: object) -> None:
    for given_value in (value, [value], {"in": [1, value]}):
        with pytest.raises(jm.ValidationError):
            loose.generate([given_value], submit=False)
    assert loose.generate([[(1, None)]], submit=False).args == ([(1, None)],)


# -- JSON and pickle ---------------------------------------------------------------------------------------------------


def test_event_written_as_json_names_no_serializer(store: jm.ResultStore) -> None:
    message = plain.generate([7])
    assert store.get(message, timeout=60_000) == 7
    assert not any("serializer" in context for context in contexts(message).values())
    with pytest.raises(jm.ValidationError, match=r"kwargs.number is .* serializer=, such as MsgspecSerializer"):
        plain.generate(kwargs={"number": DAY})


def test_binary_objects_arrive_where_both_sides_allow_them(store: jm.ResultStore) -> None:
    message = move.generate([Point(1)], {"by": 2})
    pickled = jm.ResultStore(store.journal, serializer=jm.BinarySerializer)
    assert pickled.get(message, timeout=60_000, keep=True) == Point(3)
    assert store.get(message, keep=True, type=move) == Point(3)
    assert [result for _, result in jm.ResultPool(pickled).stream(message, keep=True)] == [Point(3)]
    with pytest.raises(jm.SerializationError, match=r"serializer 'binary', which was not given here.*runs code"):
        store.get(message, keep=True)


class Trap:
    """Its pickle creates a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def test_binary_message_is_not_read_by_a_task_without_it(store: jm.ResultStore, tmp_path: Path) -> None:
    trap = tmp_path / "run"
    message = jm.Message("plain", args=[Trap(trap)], serializer="binary", max_retries=5)
    broker.submit(message)
    with pytest.raises(jm.TaskFailedError, match=r"serializer 'binary', which was not given here.*runs code") as raised:
        store.get(message, timeout=60_000)
    assert raised.value.name.endswith("SerializationError")
    history = store.journal.run(task_history(store.journal.asynchronous, message.uuid))
    found = arguments(history)
    assert found is not None
    assert found.call("plain").startswith("plain(<binary: ")
    assert found.fields()["serializer"] == "binary"
    assert not trap.exists(), "a pickle was read"
    pickle.loads(pickle.dumps(Trap(trap)))
    assert trap.exists(), "the trap would not have noticed"


# -- own serializers ---------------------------------------------------------------------------------------------------


def test_own_serializer_writes_arguments_and_results(store: jm.ResultStore) -> None:
    message = tomorrow.generate([DAY])
    assert store.get(message, timeout=60_000, keep=True, type=tomorrow) == [DAY + dt.timedelta(days=1)]
    own = jm.ResultStore(store.journal, serializer=[Tagged, jm.BinarySerializer])
    assert own.get(message, keep=True) == [dt.date(2026, 12, 1)]
    assert contexts(message)[names.SUBMITTED]["args"] == [{"date": "2026-11-30"}]


def test_message_of_an_unknown_serializer_is_refused() -> None:
    with pytest.raises(jm.ValidationError, match="no task or broker of this process has the serializer 'cbor'"):
        broker.submit(jm.Message("plain", args=[1], serializer="cbor"))


def test_serializers_are_checked_where_they_are_given() -> None:
    class Nameless(Tagged):
        name = ""

    class Impostor(Tagged):
        name = "binary"

    for wrong, said in (
        (json, "serializer is a Serializer"),
        (Nameless, "a serializer has a name"),
        (Impostor, "two serializers have the name 'binary'"),
        (jm.Serializer, "a serializer has a name"),
    ):
        with pytest.raises(jm.ValidationError, match=said):
            jm.Broker("memory://", serializer=wrong)  # type: ignore[arg-type]


def test_serializer_of_a_task_is_found_before_the_safe_ones() -> None:
    assert reader_named("tagged", [None, Tagged], "it") is Tagged
    assert reader_named("json", [], "it") is jm.JsonSerializer
    with pytest.raises(jm.SerializationError, match="it was written with the serializer 'tagged'"):
        reader_named("tagged", [None], "it")


# -- the reference's methods -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [{1, 2}, b"raw", DAY, uuid.UUID(int=0), Colour.RED, {1: 2}, ORDER.items[0]], ids=repr)
def test_json_serializer_refuses_other_types(value: object) -> None:
    with pytest.raises(TypeError):
        jm.JsonSerializer.forward(value)


def test_binary_serializer_reverses_what_it_forwards() -> None:
    assert jm.BinarySerializer.reverse(jm.BinarySerializer.forward({"p": Point(3)})) == {"p": Point(3)}


def test_message_read_from_the_journal_can_be_submitted_again(store: jm.ResultStore) -> None:
    message = move.generate([Point(5)], delay=3_600_000)
    (event,) = [each for each in store.journal.read().events if each.key == message.uuid]
    again = decode_message(msgspec.json.encode(event)).duplicate().update(delay=0)
    assert (again.args, again.serializer) == ((), "binary")
    broker.submit(again)
    assert store.get(again, timeout=60_000, type=move) == Point(6)
