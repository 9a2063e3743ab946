"""The part of the state that holds the locks: every event in every state, a naive model, snapshots, foreign events."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journeyman.tasks import TaskView
from journeyman.tasks.state import names
from journeyman.tasks.state.locks import LockRequest, capacity_of, holders
from journeyman.tasks.state.view import Verdict
from support.ledger import Ledger

ACCEPTED, REFUSED, FOREIGN = Verdict.ACCEPTED, Verdict.REFUSED, Verdict.FOREIGN
LEASE_MS = 5_000


def requested(log: Ledger, owner: str = "a", lock: str = "door", **context: Any) -> int:
    log.write(names.LOCK_REQUESTED, lock=lock, owner=owner, **{"capacity": 1, "lease_ms": LEASE_MS, **context})
    return last_offset(log)


def last_offset(log: Ledger) -> int:
    return log.end - 1


def request(log: Ledger, token: int, lock: str = "door") -> LockRequest | None:
    return log.view.locks.find(0, lock, token)


def holding(log: Ledger, lock: str = "door") -> list[str]:
    return [each.owner for each in holders(log.view.locks.requests(0, lock))]


def test_larger_capacity_is_granted_at_once() -> None:
    log = Ledger()
    token = requested(log, "single")
    for owner in ("a", "b", "c", "d"):
        requested(log, owner, capacity=3)
    assert holding(log) == ["single"]
    log.write(names.LOCK_RELEASED, lock="door", token=token)
    assert holding(log) == ["a", "b", "c"]


# -- every event in every state --------------------------------------------------------------------------------------

# What becomes of the request that an event names: by its state, the verdict and the state after it.
WAITING, HELD, GONE = "waiting", "held", "gone"
TABLE = {
    (WAITING, names.LOCK_RENEWED): (ACCEPTED, WAITING),
    (WAITING, names.LOCK_RELEASED): (REFUSED, WAITING),
    (WAITING, names.LOCK_WITHDRAWN): (ACCEPTED, GONE),
    (WAITING, names.LOCK_EXPIRED): (ACCEPTED, GONE),
    (HELD, names.LOCK_RENEWED): (ACCEPTED, HELD),
    (HELD, names.LOCK_RELEASED): (ACCEPTED, GONE),
    (HELD, names.LOCK_WITHDRAWN): (ACCEPTED, GONE),
    (HELD, names.LOCK_EXPIRED): (ACCEPTED, GONE),
    (GONE, names.LOCK_RENEWED): (REFUSED, GONE),
    (GONE, names.LOCK_RELEASED): (REFUSED, GONE),
    (GONE, names.LOCK_WITHDRAWN): (REFUSED, GONE),
    (GONE, names.LOCK_EXPIRED): (REFUSED, GONE),
}


def state_of(log: Ledger, token: int) -> str:
    found = request(log, token)
    return GONE if found is None else HELD if found.holds else WAITING


@pytest.mark.parametrize(("state", "name"), TABLE)
def test_request_moves_by_the_table(state: str, name: str) -> None:
    log = Ledger()
    first = requested(log)
    token = requested(log, "b") if state == WAITING else first
    if state == GONE:
        log.write(names.LOCK_RELEASED, lock="door", token=token)
    assert state_of(log, token) == state
    assert (log.write(name, lock="door", token=token, last=token), state_of(log, token)) == TABLE[state, name]


def test_table_has_every_event_but_the_request() -> None:
    assert {name for _, name in TABLE} == set(names.LOCK_EVENTS) - {names.LOCK_REQUESTED}


def test_release_grants_the_next_request_in_log_order() -> None:
    log = Ledger()
    first, second, third = requested(log, "a"), requested(log, "b"), requested(log, "c")
    assert holding(log) == ["a"]
    log.write(names.LOCK_WITHDRAWN, lock="door", token=second)
    log.write(names.LOCK_RELEASED, lock="door", token=first)
    assert holding(log) == ["c"]
    granted = request(log, third)
    assert granted is not None
    assert (granted.token, granted.granted) == (third, last_offset(log))


def test_expiry_names_the_last_event_of_the_request() -> None:
    log = Ledger()
    token = requested(log)
    log.write(names.LOCK_RENEWED, lock="door", token=token)
    renewed = last_offset(log)
    assert log.write(names.LOCK_EXPIRED, lock="door", token=token, last=token) is REFUSED
    assert holding(log) == ["a"], "the holder had renewed its lease"
    assert log.write(names.LOCK_EXPIRED, lock="door", token=token, last=renewed) is ACCEPTED
    assert log.view.locks == {}


def test_renewal_that_names_a_lease_changes_it() -> None:
    log = Ledger()
    token = requested(log)
    for lease_ms, expected in ((60_000, 60_000), (0, 60_000), (-5, 60_000), (500, 500)):
        log.write(names.LOCK_RENEWED, lock="door", token=token, lease_ms=lease_ms)
        renewed = request(log, token)
        assert renewed is not None
        assert (renewed.lease_ms, renewed.last) == (expected, last_offset(log))


def test_locks_of_two_names_are_independent() -> None:
    log = Ledger()
    first = requested(log, "a", "door")
    requested(log, "b", "gate")
    assert (holding(log, "door"), holding(log, "gate")) == (["a"], ["b"])
    assert log.write(names.LOCK_RELEASED, lock="gate", token=first) is REFUSED


def test_smallest_capacity_of_the_live_requests_counts() -> None:
    log = Ledger()
    tokens = [requested(log, owner, capacity=3) for owner in "abc"]
    small = requested(log, "d", capacity=1)
    assert holding(log) == ["a", "b", "c"], "what is granted stays granted"
    requested(log, "e", capacity=3)
    for token in tokens:
        assert "d" not in holding(log)
        log.write(names.LOCK_RELEASED, lock="door", token=token)
    assert holding(log) == ["d"]
    log.write(names.LOCK_RELEASED, lock="door", token=small)
    assert holding(log) == ["e"]


@pytest.mark.parametrize(
    "changed", [{"owner": ""}, {"capacity": 0}, {"capacity": -1}, {"lease_ms": 0}, {"ttl_ms": 0}, {"ttl_ms": -5}]
)
def test_request_that_is_not_valid_is_refused(changed: dict[str, Any]) -> None:
    log = Ledger()
    context = {"lock": "door", "owner": "a", "capacity": 1, "lease_ms": LEASE_MS, **changed}
    assert log.write(names.LOCK_REQUESTED, **context) is REFUSED
    assert log.view.locks == {}


@pytest.mark.parametrize("context", [{}, {"lock": ""}, {"lock": 7}, {"lock": "door", "token": "x"}])
@pytest.mark.parametrize("name", names.LOCK_EVENTS)
def test_foreign_event_of_a_lock_changes_nothing(name: str, context: dict[str, Any]) -> None:
    log = Ledger()
    assert log.write(name, **context) is FOREIGN
    paged = TaskView()
    paged.apply_page(log.page())
    assert (paged.locks, paged.unreadable) == ({}, 0)


def test_change_of_locks_is_reported_once() -> None:
    told: list[str] = []
    log = Ledger()
    log.view.locks.on_change = lambda: told.append("changed")
    token = requested(log)
    log.write(names.LOCK_RELEASED, lock="door", token=token)
    log.write(names.LOCK_RELEASED, lock="door", token=token)
    assert told == ["changed", "changed"]


def test_snapshot_holds_the_locks() -> None:
    log = Ledger()
    requested(log, "a", ttl_ms=60_000, host="here", pid=7)
    requested(log, "b")
    restored = TaskView()
    restored.restore(log.view.snapshot())
    assert restored.locks == log.view.locks
    assert restored.locks[0]["door"][0].ttl_ms == 60_000


# -- a naive model ---------------------------------------------------------------------------------------------------


@dataclass
class Seen:
    """A request as a reader of the log with a pencil would note it down."""

    token: int
    owner: str
    capacity: int
    last: int
    holds: bool = False


class Model:
    """The rules once more, written down as sentences, without the sharing and the short cuts of the fold."""

    def __init__(self) -> None:
        self.requests: list[Seen] = []

    def tell(self, name: str, context: dict[str, Any], offset: int) -> Verdict:
        if name == names.LOCK_REQUESTED:
            if context["capacity"] < 1:
                return REFUSED
            self.requests.append(Seen(offset, context["owner"], context["capacity"], offset))
        else:
            named = [each for each in self.requests if each.token == context["token"]]
            if not named:
                return REFUSED
            request = named[0]
            if name == names.LOCK_RENEWED:
                request.last = offset
                return self.grant()
            if name == names.LOCK_RELEASED and not request.holds:
                return REFUSED
            if name == names.LOCK_EXPIRED and request.last != context["last"]:
                return REFUSED
            self.requests.remove(request)
        return self.grant()

    def grant(self) -> Verdict:
        while (waiting := [each for each in self.requests if not each.holds]) and self.has_room():
            waiting[0].holds = True
        return ACCEPTED

    def has_room(self) -> bool:
        return sum(each.holds for each in self.requests) < min(each.capacity for each in self.requests)


events = st.lists(
    st.tuples(
        st.sampled_from(names.LOCK_EVENTS),
        st.integers(min_value=0, max_value=12),  # the token, or an owner
        st.integers(min_value=0, max_value=3),  # the capacity
        st.one_of(st.just("last"), st.integers(min_value=0, max_value=12)),
    ),
    max_size=25,
)


@given(events)
def test_fold_of_locks_equals_the_naive_model(told: list[tuple[str, int, int, Any]]) -> None:
    log, model = Ledger(), Model()
    granted: list[int] = []
    for offset, (name, number, capacity, last) in enumerate(told):
        known = request(log, number)
        context = {
            "lock": "door",
            "owner": f"o{number}",
            "capacity": capacity,
            "lease_ms": LEASE_MS,
            "token": number,
            "last": (known.last if known is not None else 0) if last == "last" else last,
        }
        assert log.write(name, **context) is model.tell(name, context, offset)
        found = log.view.locks.requests(0, "door")
        assert [(each.token, each.holds, each.last) for each in found] == [
            (each.token, each.holds, each.last) for each in model.requests
        ]
        fresh = [each.token for each in found if each.granted == offset]
        assert not fresh or len(holders(found)) <= capacity_of(found), "no grant exceeds the capacity"
        granted += fresh
    assert granted == sorted(granted), "tokens rise"
    restored = TaskView()
    restored.restore(log.view.snapshot())
    assert restored.locks == log.view.locks
