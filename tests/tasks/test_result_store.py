"""Results by the names of the reference: collected, kept, stored by hand, of a chain, and of what has failed."""

import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from journeyman.journal import Journal
from journeyman.tasks import (
    AsyncResultPool,
    AsyncResultStore,
    Broker,
    Message,
    ResultPool,
    ResultStore,
    TaskFailedError,
    ValidationError,
)
from journeyman.tasks.state import names
from support.both import Both


@pytest.fixture
def journal() -> Iterator[Journal]:
    with Journal("memory://") as opened:
        opened.append(names.JOINED, {"worker": "w", "lease_ms": 60_000})
        yield opened


@pytest.fixture(params=[ResultStore, AsyncResultStore], ids=["sync", "async"])
def store(request: pytest.FixtureRequest, journal: Journal) -> Any:
    return Both(request.param(journal))


@pytest.fixture(params=[(ResultPool, ResultStore), (AsyncResultPool, AsyncResultStore)], ids=["sync", "async"])
def pool(request: pytest.FixtureRequest, journal: Journal) -> Any:
    pool, store = request.param
    return Both(pool(store(journal)))


def submitted(journal: Journal, uuid: str = "mine", **fields: Any) -> Message:
    message = Message("work", uuid=uuid, **fields)
    Broker(journal).submit(message)
    return message


def ended(journal: Journal, message: Message, name: str = names.SUCCEEDED, **said: Any) -> Message:
    claim = journal.append(names.CLAIMED, {"task": message.uuid, "worker": "w"}, message.uuid).offset
    journal.append(name, {"task": message.uuid, "worker": "w", "claim": claim, **said}, message.uuid)
    return message


def chained(journal: Journal, data: dict[str, Any]) -> Message:
    """A message with descendants of any ids, in an event as any program may write it; a broker makes their ids."""
    root = Message("work", uuid="a", callback_message_data=data)
    journal.append(names.SUBMITTED, msgspec.to_builtins(root), root.uuid)
    return root


def chain(journal: Journal) -> Message:
    """A message with two descendants, whose results came in another order: 1, 3, 2."""
    data = Message("work", uuid="b", callback_message_data=Message("work", uuid="c").data).data
    root = ended(journal, chained(journal, data), result=1)
    for uuid, result in (("c", 3), ("b", 2)):
        ended(journal, submitted(journal, uuid, progenitor_uuid="a"), result=result)
    return root


def test_arguments_are_those_of_the_reference(store: Any, journal: Journal) -> None:
    message = ended(journal, submitted(journal), result=5)
    moment = next(event.timestamp for event in journal.read().events if event.name == names.SUCCEEDED)
    assert store.exists(message, False)
    assert store.get(message, 0, True, True, False) == {
        "result": 5,
        "timestamp": round(moment * 1_000),
        "uuid": "mine",
    }
    assert store.get(message, 1_000) == 5
    with pytest.raises(KeyError, match="was collected already"):
        store.get(message)
    assert not store.exists(message)


@pytest.mark.parametrize(
    ("name", "words"), [(names.FAILED, "has failed with ValueError: x"), (names.REVOKED, "was revoked")]
)
def test_failed_task_has_an_error_at_once(store: Any, journal: Journal, name: str, words: str) -> None:
    details = {"name": "ValueError", "text": "x", "traceback": "lines"} if name == names.FAILED else {}
    message = ended(journal, submitted(journal), name, exception=details)
    with pytest.raises(TaskFailedError, match=words) as raised:
        store.get(message, 60_000)
    assert isinstance(raised.value, KeyError)
    assert (raised.value.name, raised.value.revoked) == (details.get("name", ""), name == names.REVOKED)


def test_acknowledged_task_has_no_result(store: Any, journal: Journal) -> None:
    message = submitted(journal)
    Broker(journal).ack(message)
    with pytest.raises(KeyError, match="acknowledged by hand"):
        store.get(message, 60_000)
    assert not store.exists(message)


def test_result_is_stored_by_hand_once(store: Any, journal: Journal) -> None:
    message = submitted(journal)
    store.set(message, {"rows": 5})
    with pytest.raises(KeyError, match="has a result already"):
        store.set(message, 6)
    store.set(message, 7, False)
    assert store.exists(message)
    Broker(journal).ack(message)
    assert store.get(message, keep=True) == 7
    assert store.get(message, 60_000) == 7
    assert not store.exists(message)
    store.set(message, 8)
    assert store.get(message) == 8


def test_result_stored_by_hand_is_collected_while_the_task_waits(store: Any, journal: Journal) -> None:
    message = submitted(journal)
    store.set(message, 7)
    assert store.get(message) == 7
    with pytest.raises(KeyError, match="waits to be run"):
        store.get(message)
    assert Broker(journal).exists(message)


@pytest.mark.parametrize("value", [object(), float("nan"), 2**64, "\ud800"])
def test_result_that_cannot_be_stored_is_refused(store: Any, journal: Journal, value: object) -> None:
    with pytest.raises(ValidationError, match="knows no task 'unknown'"):
        store.set("unknown", 5)
    with pytest.raises(ValidationError, match=r"JSON: result\.when"):
        store.set(submitted(journal), {"when": value})


def test_deleting_returns_the_number(store: Any, journal: Journal) -> None:
    message = ended(journal, submitted(journal), result=5)
    assert store.delete(message) == 1
    assert not store.exists(message)
    with pytest.raises(KeyError, match="no result of task 'mine' is there"):
        store.delete(message)
    assert store.delete(message, missing_ok=True) == 0


def test_descendants_are_read_in_the_order_of_their_results(store: Any, journal: Journal) -> None:
    root = chain(journal)
    for message in (root, "a"):
        assert store.exists(message, descendants=True)
        assert store.get(message, keep=True, descendants=True) == [1, 3, 2]
    whole = store.get(root, keep=True, with_metadata=True, descendants=True)
    assert [each["uuid"] for each in whole] == ["a", "c", "b"]
    assert store.get("c") == 3
    assert not store.exists(root, descendants=True)
    assert store.exists(root)
    assert store.delete(root) == 2


def test_missing_descendant_is_waited_for(store: Any, journal: Journal) -> None:
    data = Message("work", uuid="b").data
    root = ended(journal, chained(journal, data), result=1)
    with pytest.raises(KeyError, match="no result of task 'b'"):
        store.get(root, descendants=True)
    with pytest.raises(TimeoutError, match="no result of task 'b' after 1 ms"):
        store.get(root, 1, descendants=True)
    assert store.get(root) == 1, "nothing was collected"


def test_result_ttl_ends_a_result(store: Any, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    message = ended(journal, submitted(journal, result_ttl=60_000), result=5)
    assert store.get(message, keep=True) == 5
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 61)
    assert not store.exists(message)
    with pytest.raises(KeyError, match="result_ttl is over"):
        store.get(message)


def test_names_of_results_are_those_of_the_reference() -> None:
    for kind in (ResultStore, AsyncResultStore):
        assert kind.get_storage_name(Message("work", uuid="a")) == "results:a"
        assert kind.get_storage_name(Message("work", uuid="b", progenitor_uuid="a")) == "results:a:descendants:b"


# -- pools -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["stream", "istream"])
def test_pool_yields_results_and_failures(pool: Any, journal: Journal, call: str) -> None:
    done = ended(journal, submitted(journal, "done"), result=1)
    failed = ended(journal, submitted(journal, "failed"), names.FAILED)
    found = dict(getattr(pool, call)(done, failed, wait=5, keep=True, failures="yield"))
    assert found[done] == 1
    assert isinstance(found[failed], TaskFailedError)
    with pytest.raises(TaskFailedError, match="failed"):
        getattr(pool, call)(failed)
    assert dict(getattr(pool, call)(done)) == {done: 1}
    with pytest.raises(KeyError, match="collected already"):
        getattr(pool, call)(done)


def test_pool_does_not_wait_for_a_member_that_lapses(pool: Any, journal: Journal) -> None:
    message = Message("work")
    Broker(journal).submit(message, ttl=50)
    ((member, error),) = pool.istream(message, failures="yield", timeout=60_000)
    assert member is message
    assert error.reason == "expired"


def test_pool_knows_descendants_and_acknowledged_members(pool: Any, journal: Journal) -> None:
    root, acked = chain(journal), submitted(journal, "acked")
    Broker(journal).ack(acked)
    assert dict(pool.stream(root, descendants=True)) == {root: [1, 3, 2]}
    with pytest.raises(KeyError, match="acknowledged by hand"):
        pool.istream(acked, timeout=60_000)


def test_pool_refuses_what_it_does_not_know(pool: Any, journal: Journal) -> None:
    with pytest.raises(TypeError, match="takes no argument 'kep'; it takes wait, timeout"):
        pool.istream(submitted(journal), kep=True)
    with pytest.raises(ValidationError, match="passed twice"):
        pool.istream("a", "a")
