"""The history of a task tells what every worker decided, also where the sessions are older than what is read."""

import socket
import time
from collections.abc import Iterable

import journeyman as jm
import pytest
import uuid_utils
from journeyman.journal.cursor import Cursor
from journeyman.journal.event import encode_context
from journeyman.journal.runtime.blocking import run
from journeyman.tasks.errors import UnknownTaskError
from journeyman.tasks.inspection.as_of import view_as_of
from journeyman.tasks.inspection.evidence import gather
from journeyman.tasks.inspection.history import TaskHistory, task_history
from journeyman.tasks.inspection.why import explain
from journeyman.tasks.retention import compact, plan
from journeyman.tasks.state import names
from journeyman.tasks.state.transitions import State
from journeyman.tasks.state.view import TaskView, Verdict

HOST = socket.gethostname()


@pytest.fixture
def journal(tmp_path_factory: pytest.TempPathFactory) -> Iterable[jm.Journal]:
    with jm.Journal(f"sqlite:///{tmp_path_factory.mktemp('journal') / 'j.db'}") as opened:
        yield opened


def _id(seconds_ago: float) -> str:
    return str(uuid_utils.uuid7(nanoseconds=time.time_ns() - int(seconds_ago * 1e9)))


def _append(journal: jm.Journal, name: str, task: str = "", at: float | None = None, **context: object) -> int:
    draft = jm.Draft(
        name,
        encode_context(name, ({"task": task} if task else {}) | context),
        task or None,
        timestamp=at,
    )
    return journal.append_drafts([draft])[0].offset


def _join(journal: jm.Journal, worker: str, at: float | None = None) -> None:
    _append(journal, names.JOINED, worker=worker, host=HOST, pid=1, lease_ms=2_000, at=at)


def _submit(journal: jm.Journal, task: str) -> None:
    _append(journal, names.SUBMITTED, task, task_name="add", queue="default", max_retries=3)


def _history(journal: jm.Journal, task: str) -> TaskHistory:
    return run(task_history(journal.asynchronous, task))


def _verdicts(journal: jm.Journal, task: str) -> list[tuple[str, Verdict]]:
    return [(step.event.name, step.verdict) for step in _history(journal, task).steps]


def _takeover(journal: jm.Journal, task: str, first: str, second: str) -> None:
    """`first` claims, `second` comes too late, expires it, claims, and succeeds; then `first` wakes up."""
    _submit(journal, task)
    claim = _append(journal, names.CLAIMED, task, worker=first)
    _append(journal, names.CLAIMED, task, worker=second)
    _append(journal, names.EXPIRED, worker=first, last=claim - 1, by=second)
    _append(journal, names.EXPIRED, worker=first, last=claim, by=second)
    again = _append(journal, names.CLAIMED, task, worker=second)
    _append(journal, names.SUCCEEDED, task, worker=first, claim=claim, result=1)
    _append(journal, names.SUCCEEDED, task, worker=second, claim=again, result=2)
    _append(journal, names.CLAIMED, task, worker=second)


EXPECTED = [
    (names.SUBMITTED, Verdict.ACCEPTED, ""),
    (names.CLAIMED, Verdict.ACCEPTED, ""),
    (names.CLAIMED, Verdict.REFUSED, "second claim"),
    (names.EXPIRED, Verdict.ACCEPTED, "returned to the queue"),
    (names.CLAIMED, Verdict.ACCEPTED, ""),
    (names.SUCCEEDED, Verdict.REFUSED, "stale outcome"),
    (names.SUCCEEDED, Verdict.ACCEPTED, ""),
    (names.CLAIMED, Verdict.REFUSED, "had succeeded already"),
]


def _assert_takeover(found: TaskHistory) -> None:
    assert [(step.event.name, step.verdict) for step in found.steps] == [each[:2] for each in EXPECTED]
    for step, (_, _, reason) in zip(found.steps, EXPECTED, strict=True):
        assert reason in step.reason
        assert bool(reason) == bool(step.reason)
    assert found.task.state is State.SUCCEEDED
    assert found.task.attempts == 2
    final = found.final()
    assert final is not None
    assert final.event.context["result"] == 2


def test_takeover_is_shown_with_every_refusal(journal: jm.Journal) -> None:
    first, second, task = _id(0), _id(0), _id(0)
    _join(journal, first)
    _join(journal, second)
    _takeover(journal, task, first, second)
    found = _history(journal, task)
    _assert_takeover(found)
    assert found.hosts == {first: HOST, second: HOST}


def test_old_sessions_are_inferred_and_their_hosts_looked_up(journal: jm.Journal) -> None:
    hours = 3 * 3_600.0
    first, second, task = _id(hours), _id(hours), _id(0)
    _join(journal, first, at=time.time() - hours)
    _join(journal, second, at=time.time() - hours + 0.5)
    _append(journal, "order.paid", at=time.time() - hours / 2)
    _takeover(journal, task, first, second)
    found = _history(journal, task)
    _assert_takeover(found)
    assert found.hosts == {first: HOST, second: HOST}


def test_claim_of_an_ended_session_is_refused(journal: jm.Journal) -> None:
    worker, other, task = _id(0), _id(0), _id(0)
    _join(journal, worker, at=time.time() - 3_600)
    _join(journal, other)
    _submit(journal, task)
    claim = _append(journal, names.CLAIMED, task, worker=worker)
    _append(journal, names.EXPIRED, worker=worker, last=claim, by=other)
    _append(journal, names.CLAIMED, task, worker=worker)
    found = _history(journal, task)
    assert found.steps[-1].verdict is Verdict.REFUSED
    assert found.steps[-1].reason == "the worker's session had ended"
    assert found.task.state is State.READY


def test_leaving_worker_gives_the_attempt_back(journal: jm.Journal) -> None:
    worker, task = _id(0), _id(0)
    _join(journal, worker)
    _submit(journal, task)
    _append(journal, names.CLAIMED, task, worker=worker)
    _append(journal, names.LEFT, worker=worker)
    found = _history(journal, task)
    assert found.steps[-1].event.name == names.LEFT
    assert (found.task.state, found.task.attempts) == (State.READY, 0)
    assert "not counted" in found.steps[-1].reason


def test_task_that_kills_its_workers_is_dead_at_last_expiry(journal: jm.Journal) -> None:
    task, watcher = _id(0), _id(0)
    _join(journal, watcher)
    _append(journal, names.SUBMITTED, task, task_name="add", queue="default", max_retries=0)
    worker = _id(0)
    _join(journal, worker)
    claim = _append(journal, names.CLAIMED, task, worker=worker)
    _append(journal, names.EXPIRED, worker=worker, last=claim, by=watcher)
    found = _history(journal, task)
    assert found.task.state is State.FAILED
    assert "no attempt was left" in found.steps[-1].reason


def test_end_by_hand_is_an_error_only_with_an_exception(journal: jm.Journal) -> None:
    broker, message = jm.Broker(journal), jm.Message("send")
    broker.submit(message)
    broker.fail(message)
    assert _history(journal, message.uuid).final() is None
    broker.requeue(message)
    broker.fail(message.update(exception_details=jm.ExceptionDetails("Declined", "card 4242")))
    final = _history(journal, message.uuid).final()
    assert final is not None
    assert final.event.context["exception"]["name"] == "Declined"


def test_chosen_id_is_searched_from_the_beginning(journal: jm.Journal) -> None:
    _append(journal, "order.paid", at=time.time() - 7_200)
    worker = _id(7_000)
    _join(journal, worker, at=time.time() - 7_000)
    _takeover(journal, "nightly-2026-11-21", worker, worker)
    assert _history(journal, "nightly-2026-11-21").steps[0].event.name == names.SUBMITTED


def test_remaining_refusals_are_shown(journal: jm.Journal) -> None:
    task = _id(0)
    _submit(journal, task)
    for name, words in [
        (names.SUBMITTED, "in use already"),
        (names.REQUEUED, "only a failed task"),
        (names.COLLECTED, "no result to collect"),
        (names.SUCCEEDED, "had returned to the queue"),
        (names.REVOKED, ""),
        (names.REVOKED, "had been revoked"),
    ]:
        _append(journal, name, task, worker="unknown", claim=99)
        step = _history(journal, task).steps[-1]
        assert step.event.name == name
        assert words in step.reason
        assert (step.verdict is Verdict.REFUSED) == bool(words)


def test_events_without_a_submission_are_no_task(journal: jm.Journal) -> None:
    task = _id(0)
    _append(journal, names.REVOKED, task)
    with pytest.raises(UnknownTaskError, match=r"1 events of a task .* but not its submission"):
        _history(journal, task)
    with pytest.raises(UnknownTaskError, match="knows no task"):
        _history(journal, _id(0))


def test_history_without_submission_begins_where_log_begins(journal: jm.Journal) -> None:
    task, worker = _id(0), _id(1)
    _join(journal, worker)
    _submit(journal, task)
    submitted_at = journal.read().events[-1].timestamp
    claim = _append(journal, names.CLAIMED, task, worker=worker)
    _append(journal, names.SUCCEEDED, task, worker=worker, claim=claim, result=1)
    assert not _history(journal, task).is_truncated
    planned = run(plan(journal.asynchronous, journal.read({0: claim}, 1).events[0].timestamp - 5e-7))
    assert dict(planned.before) == {0: claim}
    run(compact(journal.asynchronous, planned))
    found = _history(journal, task)
    assert [(step.event.name, step.verdict) for step in found.steps] == [
        (names.CLAIMED, Verdict.ACCEPTED),
        (names.SUCCEEDED, Verdict.ACCEPTED),
    ]
    assert (found.task.state, found.task.submitted_at) == (State.SUCCEEDED, submitted_at)
    assert found.is_truncated
    past = run(view_as_of(journal.asynchronous))
    findings = explain(past.view, task, time.time(), run(gather(journal.asynchronous, past, task)))
    assert findings[0].code == "succeeded"


def test_verdicts_equal_those_of_the_whole_fold(journal: jm.Journal) -> None:
    """Old sessions, several tasks, records of other programs in between: as by a fold of everything."""
    workers = [_id(5_000 - number) for number in range(4)]
    for number, worker in enumerate(workers):
        _join(journal, worker, at=time.time() - 5_000 + number)
    tasks = [_id(0) for _ in range(3)]
    for task, first, second in zip(tasks, workers, workers[1:], strict=False):
        _takeover(journal, task, first, second)
        _append(journal, "order.paid", task=task)
        _append(journal, names.BEAT, worker=second)
    whole, expected = TaskView(), {task: list[Verdict]() for task in tasks}
    for event in journal.read(Cursor({0: 0}), 10_000).events:
        verdict = whole.apply(event)
        if event.key in expected:
            expected[event.key].append(verdict)
    for task in tasks:
        steps = [step for step in _history(journal, task).steps if step.event.key == task]
        assert [step.verdict for step in steps] == expected[task]
