"""Purged dead letters are dead letters no more and cannot be requeued; the journal's order decides."""

import journeyman as jm
import pytest
from journeyman.journal.journal import Journal
from journeyman.tasks import State, Verdict
from journeyman.tasks.disposition import Disposition
from journeyman.tasks.state import dead_letters, names
from journeyman.tasks.state.decoding import dead_letter_context
from support.ledger import Ledger, picture


def two_dead_letters() -> Ledger:
    log = Ledger()
    log.join("w")
    for task in ("a", "b"):
        log.submit(task, max_retries=0)
        log.claim(task, "w")
        log.end_attempt(names.FAILED, task, "w")
    return log


def test_purged_dead_letter_is_counted_as_taken_out() -> None:
    log = two_dead_letters()
    assert log.write(names.PURGED, task="a") is Verdict.ACCEPTED
    assert (list(log.view.dead), log.view.failed, log.view.revoked, log.view.submitted) == (["b"], 1, 1, 2)
    assert log.write(names.REQUEUED, **dead_letter_context(log.rows[1], 1)) is Verdict.REFUSED
    assert log.write(names.PURGED, task="a") is Verdict.REFUSED
    assert log.write(names.SUBMITTED, task="a", task_name="work") is Verdict.REFUSED, "its id is known for a while"


def test_forgotten_dead_letter_is_purged_by_its_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "DEAD_LETTERS_KEPT", 1)
    log = two_dead_letters()
    assert list(log.view.dead) == ["b"]
    assert log.write(names.PURGED, task="a") is Verdict.REFUSED
    assert log.write(names.PURGED, **dead_letter_context(log.rows[1], 1)) is Verdict.ACCEPTED
    assert (log.task("a").state, list(log.view.dead)) == (State.REVOKED, ["b"])
    assert (log.view.failed, log.view.revoked, log.view.submitted) == (1, 1, 2)
    assert log.write(names.REQUEUED, **dead_letter_context(log.rows[1], 1)) is Verdict.REFUSED


def test_requeued_dead_letter_that_dies_again_can_be_purged() -> None:
    log = two_dead_letters()
    log.write(names.REQUEUED, task="a")
    assert log.write(names.PURGED, task="a") is Verdict.REFUSED, "it waits"
    log.claim("a", "w")
    log.end_attempt(names.FAILED, "a", "w")
    assert log.write(names.PURGED, task="a") is Verdict.ACCEPTED
    restored = type(log.view)()
    restored.restore(log.view.snapshot())
    assert picture(restored) == picture(log.view)


@pytest.fixture
def journal() -> Journal:
    """A journal with a dead letter `dead` and a waiting task `waits`."""
    journal = jm.Journal("memory://")
    broker = jm.Broker(journal)
    for uuid in ("dead", "waits"):
        broker.submit(jm.Message(uuid=uuid, task_name="work", max_retries=0))
    journal.append(names.JOINED, {"worker": "w", "lease_ms": 60_000, "host": "h", "pid": 1}, key="w")
    claim = journal.append(names.CLAIMED, {"task": "dead", "worker": "w"}, key="dead")
    journal.append(names.FAILED, {"task": "dead", "worker": "w", "claim": claim.offset}, key="dead")
    return journal


def test_purge_returns_its_outcome(journal: Journal) -> None:
    broker = jm.Broker(journal)
    purged = broker.purge("dead", by="ada@host", reason="paid by hand")
    assert purged
    assert purged.disposition is Disposition.PURGED
    assert (purged.event.name, purged.event.context["by"]) == ("task.purged", "ada@host")
    assert purged.event.context["reason"] == "paid by hand"
    assert [broker.purge(task).disposition for task in ("dead", "waits", "nowhere")] == [
        Disposition.NOT_A_DEAD_LETTER,
        Disposition.NOT_A_DEAD_LETTER,
        Disposition.UNKNOWN,
    ]
    assert broker.requeue("dead").disposition is Disposition.NOT_A_DEAD_LETTER
    assert jm.StatusTracker(journal).get("dead").status is jm.TaskStatus.FAILED
