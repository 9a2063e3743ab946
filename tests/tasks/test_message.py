"""Messages: an accepted one can be read by every reader, and an invalid one is refused before it is submitted."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journeyman.journal import Journal
from journeyman.journal.errors import EventTooLarge
from journeyman.journal.event import Draft, record
from journeyman.journal.limits import BATCH_BYTES_MAX, BATCH_EVENTS_MAX, EVENT_BYTES_MAX
from journeyman.journal.log import Page, check_batch
from journeyman.tasks import Broker, ConstantBackoff, ExponentialBackoff, Message, Task, TaskView, ValidationError
from journeyman.tasks.decorator import task
from journeyman.tasks.errors import MessageAlreadyExistsError
from journeyman.tasks.limits import MAX_RETRIES_DEFAULT, TASK_ID_CHARS_MAX
from journeyman.tasks.message_encoding import decode_message
from journeyman.tasks.state import names
from journeyman.tasks.submitting import batches, submission

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
anything = plain | st.sampled_from([math.inf, -math.inf, math.nan, 2.5, 3.0, -1, 2**70, "", "x" * 300, [], {}, b"x"])
fields = st.dictionaries(
    st.sampled_from(["task_name", "queue", "priority", "max_retries", "timeout", "delay", "due", "uuid", "metadata"]),
    anything,
    max_size=3,
)


def len_of_number(number: int) -> str:
    return f"{len(str(number))} digits"


def row_of(message: Message) -> bytes:
    return record(submission(message), 1.0)[1]


@given(fields, st.lists(plain, max_size=3), st.dictionaries(st.text(max_size=5), plain, max_size=3))
@settings(max_examples=300, deadline=None)
def test_accepted_message_round_trips(given_fields: dict[str, Any], args: list[Any], kwargs: dict[str, Any]) -> None:
    try:
        message = Message(**{"task_name": "work", "args": args, "kwargs": kwargs, **given_fields})
        row = row_of(message)
    except (ValidationError, EventTooLarge):
        return
    view = TaskView()
    view.apply_page(Page(0, [0], [row]))
    state = view.live[message.uuid]
    assert (state.name, state.queue, state.priority) == (message.task_name, message.queue, message.priority)
    assert (state.max_retries, state.due) == (message.max_retries, message.due)
    again = decode_message(row)
    assert (again.uuid, again.timeout, again.delay) == (message.uuid, message.timeout, message.delay)
    assert (again.args, again.kwargs) == (message.args, message.kwargs)


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_number_outside_json_is_refused_anywhere(number: float) -> None:
    for wrong in ({"args": [[number]]}, {"kwargs": {"a": {"b": (1, number)}}}, {"metadata": {"n": number, "m": None}}):
        with pytest.raises(ValidationError, match="JSON has neither NaN nor an infinite number"):
            row_of(Message(task_name="work", **wrong))
    row_of(Message(task_name="work", args=[None, "null"]))


@pytest.mark.parametrize(
    "wrong",
    [
        {"priority": -1}, {"priority": True}, {"priority": 1.0}, {"priority": "high"},
        {"uuid": ""}, {"uuid": "x" * (TASK_ID_CHARS_MAX + 1)}, {"uuid": 5},
        {"delay": -1}, {"delay": 1.5}, {"timeout": 0}, {"timeout": "soon"}, {"timeout": 2.5},
        {"max_retries": 2.5}, {"max_retries": "3"}, {"max_retries": True},
        {"due": math.inf}, {"due": math.nan}, {"due": "soon"}, {"due": 1e300}, {"due": 10**20},
        {"queue": 5}, {"result_ttl": 0}, {"expires": math.nan}, {"args": "ab"}, {"previous_message_uuid": 5},
        {"created_at": "now"}, {"updated_at": 1.5}, {"exception_details": "E"}, {"linked_lock": "x"},
        {"task_name": ""}, {"task_name": None}, {"metadata": []}, {"kwargs": []},
    ],
    ids=repr,
)  # fmt: skip
def test_unreadable_message_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Message(**{"task_name": "work", **wrong})
    message = Message(task_name="work")
    with pytest.raises(ValidationError):
        message.update(**wrong)
    assert row_of(message), "a refused change leaves the message as it was"


@pytest.mark.parametrize(
    "value", [object(), {1, 2}.__iter__(), "\ud800", lambda: 1], ids=lambda value: type(value).__name__
)
def test_arguments_that_json_cannot_hold_are_refused_with_advice(value: object) -> None:
    with pytest.raises(ValidationError, match=r"cannot be written as JSON.*plain data"):
        submission(Message(task_name="work", args=[value]))


def test_message_too_large_for_an_event_is_refused() -> None:
    large = Message(task_name="work", args=["x" * EVENT_BYTES_MAX])
    with Journal("memory://") as journal:
        broker = Broker(journal)
        with pytest.raises(EventTooLarge, match="the limit is"):
            broker.submit(large)
        with pytest.raises(EventTooLarge, match="the limit is"):
            broker.submit_all([Message(task_name="work"), large])
        assert not journal.read().events


def test_message_defaults() -> None:
    message = Message(task_name="work")
    assert (message.queue, message.priority, message.max_retries) == ("default", 0, MAX_RETRIES_DEFAULT)
    assert (message.ready, message.ttr, message.retries) == (True, 0, 0)
    assert message.backoff == ExponentialBackoff()
    assert message.uuid in message.summary
    assert Message(task_name="work", max_retries=-2).max_retries == -2
    assert Message(task_name="work", max_retries=None).max_retries is None


@pytest.mark.parametrize("delay", [10**13, 10**15, 10**400], ids=len_of_number)
def test_delay_beyond_the_latest_time_is_refused(delay: int) -> None:
    sent = task(Broker("memory://"), name="work")(print)
    with pytest.raises(ValidationError, match=r"8,000,000,000 s after 1970 at the latest"):
        sent.generate(delay=delay)
    assert sent.generate(delay=10**12, submit=False).due > 0


def test_delay_counts_from_creation() -> None:
    message = Message(task_name="work", delay=60_000)
    assert message.due == (message.created_at + 60_000) / 1_000
    assert message.ready_at == message.created_at + 60_000
    assert not message.ready
    assert 0 < message.ttr <= 60_000


def test_clone_is_equal_and_independent() -> None:
    message = Message(task_name="work", kwargs={"a": [1]})
    twin = message.clone()
    assert twin == message
    twin.kwargs["a"].append(2)
    assert message.kwargs == {"a": [1]}


def test_duplicate_differs_in_its_id_alone() -> None:
    message = Message(task_name="work", retries=2, delay=5)
    twin = message.duplicate()
    assert twin.uuid != message.uuid
    assert twin.update(uuid=message.uuid) == message
    assert message.duplicate("chosen").uuid == "chosen"


def test_update_changes_in_place_and_names_unknown_fields() -> None:
    message = Message(task_name="work")
    assert message.update(priority=4, queue="mail") is message
    assert (message.priority, message.queue) == (4, "mail")
    with pytest.raises(KeyError, match="no field 'prio'"):
        message.update(prio=1, queue="other")
    assert message.queue == "mail"


def test_metadata_is_added_and_never_overwritten() -> None:
    message = Message(task_name="work")
    assert message.add_to_metadata(a=1).add_to_metadata(b=2).metadata == {"a": 1, "b": 2}
    with pytest.raises(KeyError, match="already in the metadata: b"):
        message.add_to_metadata(b=3, c=4)
    with pytest.raises(ValueError, match="nothing to add"):
        message.add_to_metadata()
    assert message.metadata == {"a": 1, "b": 2}


# -- tasks -----------------------------------------------------------------------------------------------------------


def test_task_applies_its_rules_to_its_messages() -> None:
    broker = Broker("memory://")

    @task(broker, queue="mail", max_retries=7, timeout=5_000, backoff=ConstantBackoff(1, floor=0))
    def send(to: str) -> str:
        return to

    message = send.generate(kwargs={"to": "ada"}, priority=2, submit=False)
    assert (message.task_name, message.queue, message.max_retries, message.timeout) == ("send", "mail", 7, 5_000)
    assert decode_message(row_of(message)).backoff == ConstantBackoff(1, floor=0)
    assert send("here") == "here"
    assert send.generate(submit=False, queue="other", timeout_override=1).queue == "other"


def test_task_without_positional_arguments_refuses_them() -> None:
    strict = Task(lambda *, to: to, Broker("memory://"), "send", no_positional_args=True)
    with pytest.raises(ValidationError, match="keyword arguments only"):
        strict.generate(args=["ada"], submit=False)


def test_chosen_id_is_checked() -> None:
    plain_task = Task(lambda: 1, Broker("memory://"), "work")
    assert plain_task.generate(uuid="mine", submit=False).uuid == "mine"
    with pytest.raises(ValidationError, match="uuid is a string"):
        plain_task.generate(uuid="x" * 300, submit=False)


# -- batches ---------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 600_000), max_size=25))
@settings(max_examples=30, deadline=None)
def test_batches_fit_one_append_and_leave_nothing_out(sizes: list[int]) -> None:
    message = Message(task_name="work")
    drafts = [Draft("task.submitted", b'"' + b"x" * size + b'"', str(number)) for number, size in enumerate(sizes)]
    found = list(batches((message, draft) for draft in drafts))
    assert [draft.key for batch in found for _, draft in batch] == [str(number) for number in range(len(sizes))]
    for batch in found:
        check_batch([len(draft.context) for _, draft in batch])
    total = sum(sizes)
    assert len(found) <= 1 + total // (BATCH_BYTES_MAX - 700_000)


def test_small_messages_are_submitted_in_large_batches() -> None:
    message = Message(task_name="work")
    drafts = [(message, Draft("task.submitted", b"{}", "k")) for _ in range(BATCH_EVENTS_MAX + 1)]
    assert [len(batch) for batch in batches(drafts)] == [BATCH_EVENTS_MAX, 1]
    assert list(batches([])) == []


def test_submit_all_refuses_the_second_of_the_same_id() -> None:
    broker = Broker("memory://")
    work = Task(lambda: 1, broker, "work")
    messages = [work.generate(submit=False) for _ in range(1_000)]
    assert broker.submit_all(messages) == 1_000
    with pytest.raises(MessageAlreadyExistsError):
        broker.submit(messages[0])
    view = TaskView()
    with broker.journal as journal:
        for event in journal.read(limit=2_000).events:
            view.apply(event)
    assert list(view.live) == [message.uuid for message in messages]
    assert {task_.name for task_ in view.live.values()} == {"work"}
    assert names.SUBMITTED == "task.submitted"


def test_update_of_delay_moves_due() -> None:
    message = Message(task_name="work", created_at=1_000_000)
    assert message.update(delay=5_000).due == 1_005.0
    assert message.update(delay=0).due == 0.0
    assert message.update(delay=5_000, due=77.0).due == 77.0


def test_refused_update_leaves_due() -> None:
    message = Message(task_name="work", created_at=1_000_000, delay=5_000)
    with pytest.raises(ValidationError):
        message.update(delay=-1)
    assert (message.delay, message.due) == (5_000, 1_005.0)
