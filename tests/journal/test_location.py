"""The location of a journal: relative URLs, and whether a missing journal is created."""

from pathlib import Path

import journeyman as jm
import pytest
from journeyman.journal import BadJournalURL, Journal, JournalNotFound
from journeyman.journal.url import anchored, asked_to_create


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("sqlite:///a.db", None),
        ("sqlite:///a.db?create=1", True),
        ("sqlite:///a.db?sync=normal&create=0", False),
        ("kafka://h/t?create=0", False),
        ("memory://", None),
    ],
)
def test_url_decides_whether_a_journal_is_created(url: str, asked: bool | None) -> None:
    assert asked_to_create(url) is asked


@pytest.mark.parametrize("value", ["", "2", "true", "yes", "\u00b9"])
def test_other_values_of_create_are_refused(value: str) -> None:
    for url in (f"sqlite:///a.db?create={value}", f"kafka://h/t?create={value}"):
        with pytest.raises(BadJournalURL, match="create is 1"):
            Journal(url)


def test_missing_journal_is_named_by_its_absolute_path(here: Path) -> None:
    for journal in (Journal("sqlite:///a.db?create=0"), Journal("sqlite:///a.db", create=False)):
        with pytest.raises(JournalNotFound) as error:
            journal.append("order.paid")
        assert f"there is no journal at {here}/a.db:" in str(error.value)
        assert "with create=1" in str(error.value)
        with pytest.raises(JournalNotFound):
            jm.JournalConsumer(journal).start()
    assert list(here.iterdir()) == []
    with Journal("sqlite:///a.db?create=1", create=False) as made:
        made.append("order.paid")
    with Journal("sqlite:///a.db?create=0") as found:
        assert len(found.read().events) == 1


def test_create_option_reaches_other_processes(here: Path) -> None:
    assert anchored("sqlite:///a.db?create=0") == f"sqlite:///{here}/a.db?create=0"


def test_caller_waiting_in_vain_gets_the_location(here: Path) -> None:
    with Journal("sqlite:///a.db") as journal:
        made = f"{here}/a.db, which this process has just made"
        assert journal.location.startswith(made)
        with pytest.raises(KeyError) as unknown:
            jm.StatusTracker(journal).get("no-such-task")
        with pytest.raises(TimeoutError) as no_status:
            jm.StatusTracker(journal).wait_for("no-such-task", jm.TaskStatus.SUCCEEDED, timeout=0.01)
        with pytest.raises(TimeoutError) as no_result:
            jm.ResultStore(journal).get("no-such-task", timeout=10)
        with jm.JournalConsumer(journal) as consumer, pytest.raises(TimeoutError) as no_event:
            consumer.poll(0.01)
        for error in (unknown, no_status, no_result, no_event):
            assert made in str(error.value)
    with Journal("sqlite:///a.db") as journal:
        assert journal.location == f"{here}/a.db"
