"""Results, derived from the journal."""

import journeyman as jm
import pytest
from journeyman.tasks.state import names


def succeeded(journal: jm.Journal, task: str, result: object) -> None:
    """The events of a task that a worker has run."""
    journal.append(names.SUBMITTED, {"task": task, "task_name": "add", "queue": "default"}, task)
    journal.append(names.JOINED, {"worker": "w", "lease_ms": 60_000})
    claim = journal.append(names.CLAIMED, {"task": task, "worker": "w"}, task).offset
    journal.append(names.SUCCEEDED, {"task": task, "worker": "w", "claim": claim, "result": result}, task)


def test_existing_result_is_found_with_any_timeout() -> None:
    with jm.Journal("memory://") as journal:
        journal.append_all([("event.x", {})] * 2_000)
        succeeded(journal, "t", 5)
        # The view has not read a page when the time is over.
        assert jm.ResultStore(journal).get("t", timeout=1e-6, keep=True) == 5  # type: ignore[arg-type]


def test_missing_result_is_waited_for_and_reported() -> None:
    with jm.Journal("memory://") as journal:
        journal.append(names.SUBMITTED, {"task": "t", "task_name": "add", "queue": "default"}, "t")
        with pytest.raises(TimeoutError, match="no result of task 't' after 1 ms: waits to be run"):
            jm.ResultStore(journal).get("t", timeout=1)


@pytest.mark.parametrize("reader", [jm.ResultStore, jm.StatusTracker])
@pytest.mark.parametrize("wrong", ["sqlite:///shop.db", jm.AsyncJournal("memory://"), None])
def test_value_that_is_no_journal_is_refused_with_a_sentence(reader: type, wrong: object) -> None:
    words = rf"{reader.__name__}\(\) takes a Journal, got .* {type(wrong).__name__}; pass the Journal"
    with pytest.raises(TypeError, match=words):
        reader(wrong)
