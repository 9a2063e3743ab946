"""Arguments are checked when they are submitted: against the function's signature, and against what JSON can hold."""

import asyncio
import copy
import datetime as dt
import decimal
import enum
import inspect
import pickle
import typing
import uuid
from collections.abc import Callable
from typing import Any

import journeyman as jm
import pytest
from hypothesis import given
from hypothesis import strategies as st
from journeyman.journal.json_values import NotPlain, check_plain
from journeyman.tasks.arguments import Signature

broker = jm.Broker("memory://")


@jm.task(broker)
def send(to: str, *, copies: int = 1) -> int:
    """Send a letter."""
    return len(to) * copies


@jm.task(broker)
def told(message: jm.Message, to: str) -> str:
    return f"{message.uuid} {to}"


@jm.task(broker)
async def waits(seconds: float) -> float:
    await asyncio.sleep(0)
    return seconds


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"args": "ada"}, r"args are the positional arguments of send, as a list; got 'ada'"),
        ({"args": {"to": "ada"}}, r"args are the positional arguments of send, as a list; got \{'to'"),
        ({"args": {"ada"}}, "as a list"),
        ({"kwargs": ["to"]}, "kwargs are the keyword arguments of send"),
        ({"kwargs": {1: "ada"}}, "kwargs are the keyword arguments of send"),
        ({}, "missing a required argument: 'to'"),
        ({"args": ["ada", 2]}, "too many positional arguments"),
        ({"args": ["ada"], "kwargs": {"too": 1}}, "unexpected keyword argument 'too'"),
        ({"args": ["ada"], "kwargs": {"to": "bob"}}, "multiple values for argument 'to'"),
    ],
)
def test_wrong_arguments_are_refused_at_submission(given: dict[str, Any], said: str) -> None:
    with pytest.raises(jm.ValidationError, match=said):
        send.generate(**given)


def test_message_parameter_is_supplied_by_the_worker() -> None:
    assert told.generate(kwargs={"to": "ada"}, submit=False).kwargs == {"to": "ada"}
    with pytest.raises(jm.ValidationError, match="missing a required argument: 'to'"):
        told.generate()


def test_message_without_arguments_may_get_them_later() -> None:
    assert send.generate(submit=False).update(args=["ada"]).args == ("ada",)


class OwnOp(jm.Task[..., Any]):
    def op(self, message: jm.Message) -> Any:
        return self.function(message.args)


def test_own_op_takes_any_arguments() -> None:
    summed = jm.task(broker, base_task=OwnOp)(sum)
    assert summed.generate(args=[1, 2, 3], submit=False).args == (1, 2, 3)


def _variadic(first: int, /, *rest: int, last: int = 0, **more: int) -> None: ...


def _plain(first: int, second: int = 0, *, third: int, fourth: int = 0) -> None: ...


@given(
    st.sampled_from([_variadic, _plain]),
    st.lists(st.integers(), max_size=4),
    st.dictionaries(st.sampled_from(["first", "second", "third", "fourth", "last", "other"]), st.integers()),
)
def test_check_agrees_with_a_call(function: Callable[..., None], args: list[int], kwargs: dict[str, int]) -> None:
    try:
        function(*args, **kwargs)
        fits = True
    except TypeError:
        fits = False
    if fits:
        Signature(function).check(args, kwargs)
    else:
        with pytest.raises(jm.ValidationError):
            Signature(function).check(args, kwargs)


class Colour(enum.Enum):
    RED = 1


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"raw", r"kwargs.to is a value of type bytes, b'raw'; pass text"),
        ({"when": {1, 2}}, r"kwargs.to.when is a value of type set"),
        ([1, {"a": [dt.datetime(2026, 1, 1)]}], r"kwargs.to\[1\].a\[0\] is a value of type datetime.datetime"),  # noqa: DTZ001
        ({1: "a", "1": "b"}, r"kwargs.to has the key 1 of type int; write keys as text"),
        (uuid.UUID(int=0), "UUID"),
        (decimal.Decimal(1), "Decimal"),
        (Colour.RED, "Colour"),
        (2**64, "more than 64 bits"),
        ([1, -(2**63) - 1], r"kwargs.to\[1\] is a whole number of more than 64 bits"),
        (float("inf"), "infinite"),
        ({"a": ["\ud800"]}, r"kwargs.to.a\[0\] is '\\ud800', text with half a surrogate pair"),
        ({"\ud800": 1}, r"kwargs.to has the key '\\ud800', text with half a surrogate pair"),
    ],
    ids=repr,
)
def test_value_that_json_would_change_is_refused_with_its_place(value: object, said: str) -> None:
    with pytest.raises(jm.ValidationError, match=said):
        send.generate(kwargs={"to": value})


def test_refused_metadata_is_not_sent_to_a_serializer() -> None:
    with pytest.raises(jm.ValidationError, match=r"the metadata of send .* metadata\.when is a value") as raised:
        send.generate(["ada"], metadata={"when": {1, 2}})
    assert "serializer" not in str(raised.value)
    with pytest.raises(jm.ValidationError, match=r"the arguments of send .* give the task or its broker a serializer="):
        send.generate([{1, 2}])


def test_deep_value_is_refused() -> None:
    value: list[Any] = []
    for _ in range(5_000):
        value = [value]
    with pytest.raises(jm.ValidationError, match="deep"):
        send.generate(kwargs={"to": value})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
)


@given(json_values)
def test_json_value_is_accepted_and_round_trips(value: Any) -> None:
    check_plain(value, "value")
    message = send.generate(kwargs={"to": value}, submit=False)
    with jm.Journal("memory://") as journal:
        jm.Broker(journal).submit(message)
        (event,) = journal.read().events
    assert event.context["kwargs"] == {"to": value}


@given(json_values, st.binary() | st.frozensets(st.integers()) | st.dictionaries(st.integers(), st.none(), min_size=1))
def test_foreign_value_is_refused_wherever_it_stands(value: Any, foreign: object) -> None:
    with pytest.raises(NotPlain):
        check_plain([value, {"in": [foreign]}], "value")


@given(json_values)
def test_json_serializer_reverses_what_it_forwards(value: Any) -> None:
    assert jm.JsonSerializer.reverse(jm.JsonSerializer.forward(value)) == value
    assert (jm.JsonSerializer.forward(value) is None) == (value is None)


# -- a task as a function ----------------------------------------------------------------------------------------------


def test_task_exposes_attributes_of_its_function() -> None:
    assert (send.__name__, send.__qualname__, send.__module__) == ("send", "send", __name__)
    assert send.__doc__ == "Send a letter."
    assert send.__wrapped__ is send.function
    assert list(inspect.signature(send).parameters) == ["to", "copies"]
    assert typing.get_type_hints(send) == {"to": str, "copies": int, "return": int}


def test_asynchronous_task_is_a_coroutine_function() -> None:
    assert asyncio.iscoroutinefunction(waits)
    assert not asyncio.iscoroutinefunction(send)


def test_task_is_pickled_and_copied_by_reference() -> None:
    assert pickle.loads(pickle.dumps(send)) is send
    assert copy.copy(send) is send
    assert copy.deepcopy({"task": send})["task"] is send


class Shop:
    def __init__(self, name: str) -> None:
        self.name = name

    @jm.task(broker)
    def greet(self, guest: str) -> str:
        return f"{self.name} greets {guest}"


def test_task_in_a_class_is_called_as_a_method() -> None:
    assert Shop("Ada's").greet("Bob") == "Ada's greets Bob"
    assert isinstance(Shop.greet, jm.Task)


def test_decorator_without_parentheses_is_refused() -> None:
    with pytest.raises(jm.ValidationError, match=r"@task takes the broker .* Write @task\(broker\)"):
        jm.task(print)  # type: ignore[call-overload]
