"""The view of a reader of few tasks, which begins in the middle of their events and forgets no end."""

import pytest
from journeyman.tasks import State, Verdict
from journeyman.tasks.state import ended, names
from journeyman.tasks.state.remembering import RememberingView
from support.ledger import Ledger


@pytest.mark.parametrize(
    ("states", "event", "to"),
    [
        ((names.CLAIMED,), names.SUCCEEDED, State.SUCCEEDED),
        ((names.CLAIMED, names.FAILED), names.REQUEUED, State.READY),
        ((), names.REVOKED, State.REVOKED),
    ],
)
def test_view_begins_with_a_task_as_it_was(states: tuple[str, ...], event: str, to: State) -> None:
    before = Ledger()
    before.join("w")
    before.submit("a", expires=9.0)
    for name in states:
        before.end_attempt(name, "a", "w")
    task = before.task("a")
    log = Ledger(RememberingView(), first=before.end)
    assert isinstance(log.view, RememberingView)
    log.view.begin_with(task, 9.0)
    assert log.view.find("a") is task
    assert log.view.expiries == ({} if task.state is State.FAILED else {"a": 9.0})
    assert log.end_attempt(event, "a", "w") is Verdict.ACCEPTED
    assert log.task("a").state is to


def test_finished_task_counts_what_comes_after_its_end() -> None:
    log = Ledger()
    log.join("w")
    log.submit("a")
    log.claim("a", "w")
    log.end_attempt(names.SUCCEEDED, "a", "w")
    for name in (names.SUCCEEDED, names.CLAIMED, names.NOTED):
        log.write(name, task="a", worker="w", claim=7)
    assert (log.task("a").run.refused, log.task("a").run.collected) == (2, False)
    assert log.write(names.COLLECTED, task="a") is Verdict.ACCEPTED
    assert (log.task("a").run.refused, log.task("a").run.collected) == (2, True)


def test_id_that_is_used_again_is_no_finished_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ended, "ENDED_TASK_EVENTS", 2)
    log = Ledger()
    log.submit("a")
    log.write(names.REVOKED, task="a")
    assert log.write(names.SUBMITTED, task="a", task_name="work") is Verdict.REFUSED
    log.submit("b")
    log.submit("c")
    assert log.submit("a").state is State.READY
    assert isinstance(log.view, RememberingView)
    assert log.view.finished == {}
