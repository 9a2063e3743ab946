"""Services and jobs in the fold: one table of state × event, and places that follow from the submissions alone."""

import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from journeyman.tasks import TaskView, Verdict
from journeyman.tasks.state import jobs, names
from journeyman.tasks.state.transitions import State
from support.ledger import Ledger

QUEUE = "topchef.s"
ACCEPTED, REFUSED, FOREIGN = Verdict.ACCEPTED, Verdict.REFUSED, Verdict.FOREIGN


def registered(log: Ledger, service: str = "s", **more: Any) -> Verdict:
    fields = {"name": "n", "description": "d", "job_registration_schema": {"type": "object"}, **more}
    return log.write(names.SERVICE_REGISTERED, service=service, **fields)


@pytest.mark.parametrize(
    ("known", "event", "verdict"),
    [
        (False, names.SERVICE_REGISTERED, ACCEPTED),
        (False, names.SERVICE_CHANGED, REFUSED),
        (False, names.SERVICE_CHECKED_IN, REFUSED),
        (True, names.SERVICE_REGISTERED, REFUSED),
        (True, names.SERVICE_CHANGED, ACCEPTED),
        (True, names.SERVICE_CHECKED_IN, ACCEPTED),
    ],
)
def test_table_of_services_is_whole(known: bool, event: str, verdict: Verdict) -> None:
    log = Ledger()
    if known:
        registered(log)
    assert log.write(event, service="s") is verdict
    assert ("s" in log.view.services) == (known or verdict is ACCEPTED)
    assert log.write(event) is FOREIGN, "an event that names no service is another program's"


def test_change_sets_what_it_names_and_is_a_sign_of_life() -> None:
    log = Ledger()
    registered(log, timeout=5)
    log.write(names.SERVICE_CHANGED, service="s", name="other", available=False)
    service = log.view.services["s"]
    assert (service.name, service.description, service.timeout, service.available) == ("other", "d", 5, False)
    assert service.checked_in_at == log.events[-1].timestamp > service.registered_at
    assert service.changed == 1


@pytest.mark.parametrize(
    ("field", "value"), [("name", "other"), ("description", "other"), ("timeout", 7.0), ("available", False)]
)
def test_change_of_one_field_leaves_the_others(field: str, value: Any) -> None:
    log = Ledger()
    registered(log, timeout=5)
    before = msgspec.structs.asdict(log.view.services["s"])
    log.write(names.SERVICE_CHANGED, service="s", **{field: value})
    after = msgspec.structs.asdict(log.view.services["s"])
    assert {each for each in after if after[each] != before[each]} == {field, "checked_in_at", "changed"}
    assert after[field] == value


def test_service_is_decided_in_its_own_partition() -> None:
    view = TaskView()
    registered(Ledger(view))
    assert Ledger(view, partition=1).write(names.SERVICE_CHECKED_IN, service="s") is REFUSED


def test_job_keeps_its_place_until_it_has_ended() -> None:
    log = Ledger()
    log.join("w")
    for job in ("a", "b"):
        log.submit(job, queue=QUEUE)
    log.submit("other", queue="mail")
    log.claim("a", "w")
    assert [place.id for place in log.view.jobs.unfinished[QUEUE]] == ["a", "b"]
    log.end_attempt(names.INTERRUPTED, "a", "w")
    log.claim("a", "w")
    log.end_attempt(names.SUCCEEDED, "a", "w")
    assert [place.id for place in log.view.jobs.unfinished[QUEUE]] == ["b"]
    assert [place.id for place in log.view.jobs.of(QUEUE, 100)] == ["a", "b"]
    assert (log.view.jobs["a"].state, log.view.jobs["a"].changed) == (State.SUCCEEDED, log.end - 1)
    assert list(log.view.jobs.queues()) == [QUEUE]


def test_requeued_job_waits_at_its_old_place() -> None:
    log = Ledger()
    log.join("w")
    for job in ("a", "b"):
        log.submit(job, queue=QUEUE)
    log.claim("a", "w")
    log.end_attempt(names.FAILED, "a", "w")
    assert log.view.jobs["a"].state is State.FAILED
    log.write(names.REQUEUED, task="a")
    assert "a" not in log.view.jobs
    assert [place.id for place in log.view.jobs.unfinished[QUEUE]] == ["a", "b"]
    assert [place.id for place in log.view.jobs.of(QUEUE, 9)] == ["a", "b"]


def test_only_the_newest_finished_jobs_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "FINISHED_JOBS_KEPT", 2)
    log = Ledger()
    for job in ("a", "b", "c", "d"):
        log.submit(job, queue=QUEUE)
    for job in ("d", "a", "c"):
        log.write(names.REVOKED, task=job)
    assert [place.id for place in log.view.jobs.of(QUEUE, 100)] == ["b", "c", "d"]
    assert set(log.view.jobs) == {"c", "d"}


def test_notes_of_a_job_are_known_until_it_ends() -> None:
    log = Ledger()
    log.submit("a", queue=QUEUE)
    log.submit("other", queue="mail")
    for task in ("a", "other"):
        assert log.write(names.NOTED, task=task, result={}) is ACCEPTED
    assert log.view.jobs.with_notes == {"a"}
    log.write(names.REVOKED, task="a")
    log.write(names.NOTED, task="a", result={})
    log.join("w")
    log.submit("dead", queue=QUEUE)
    log.claim("dead", "w")
    log.end_attempt(names.FAILED, "dead", "w")
    assert log.write(names.NOTED, task="dead", result={}) is ACCEPTED
    assert log.view.jobs.with_notes == set()


def test_newest_and_following_jobs_are_found_among_all() -> None:
    log = Ledger()
    for job in ("a", "b", "c", "d"):
        log.submit(job, queue=QUEUE)
    for job in ("b", "d"):
        log.write(names.REVOKED, task=job)
    again = TaskView()
    again.restore(log.view.snapshot())
    for found in (log.view.jobs, again.jobs):
        places = found.of(QUEUE, 100)
        assert [place.id for place in found.of(QUEUE, 3)] == ["b", "c", "d"]
        assert [found.after(QUEUE, place) for place in places] == [*places[1:], None]
        assert found.of("topchef.other", 3) == []


MOVES = st.sampled_from(["note", "submit", "claim", "succeed", "fail", "requeue", "revoke", "release", "expire"])


def _move(log: Ledger, move: str, job: str) -> None:
    if move == "submit":
        log.write(names.SUBMITTED, task=job, task_name=QUEUE, queue=QUEUE)
    elif move == "claim":
        log.write(names.JOINED, worker="w", host="h", pid=0, lease_ms=1_000)
        log.write(names.CLAIMED, task=job, worker="w")
    elif move == "expire":
        log.expire("w")
    elif move in ("requeue", "revoke", "note"):
        log.write({"requeue": names.REQUEUED, "revoke": names.REVOKED, "note": names.NOTED}[move], task=job)
    else:
        task = log.view.find(job)
        name = {"succeed": names.SUCCEEDED, "fail": names.FAILED, "release": names.INTERRUPTED}[move]
        log.write(name, task=job, worker="w", claim=task.claim if task is not None else 0)


def _told(view: TaskView) -> Any:
    ids = [place.id for place in view.jobs.of(QUEUE, 100)]
    return view.jobs.unfinished.get(QUEUE, []), dict(view.jobs), ids, (dict(view.services), view.jobs.with_notes)


@given(moves=st.lists(st.tuples(MOVES, st.sampled_from("abc")), max_size=40))
def test_places_are_those_that_the_tasks_have(moves: list[tuple[str, str]]) -> None:
    log = Ledger(TaskView())
    registered(log)
    for move, job in moves:
        _move(log, move, job)
    view = log.view
    waiting, finished, ids, _ = _told(view)
    assert sorted(place.id for place in waiting) == sorted(view.live)
    assert set(finished) >= set(view.dead), "a dead letter is a finished job"
    assert all(view.state_of(0, job) is each.state for job, each in finished.items())
    assert sorted(ids) == sorted({*view.live, *finished})
    again = TaskView()
    again.restore(view.snapshot())
    assert _told(again) == _told(view), "a snapshot holds the services and the jobs"
    replayed = TaskView()
    replayed.apply_page(log.page())
    assert _told(replayed) == _told(view)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_places_do_not_depend_on_the_order_of_partitions(order: tuple[int, ...]) -> None:
    logs = [Ledger(TaskView(), partition) for partition in range(3)]
    for number, log in enumerate(logs):
        log.first = number * 10  # other times
        log.write(names.SUBMITTED, task=f"j{number}", task_name=QUEUE, queue=QUEUE)
    view = TaskView()
    for number in order:
        view.apply_page(logs[number].page())
    again = TaskView()
    again.restore(view.snapshot())
    for each in (view, again):
        assert [place.id for place in each.jobs.unfinished[QUEUE]] == ["j0", "j1", "j2"]
