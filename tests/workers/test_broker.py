"""The broker as many threads use it at once, as those of a web application do."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from journeyman.journal import AsyncJournal, Journal
from journeyman.workers import Broker, Message, broker

THREADS = 8


def test_threads_that_come_first_together_open_one_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the others was a writer of its own that nobody closed."""
    made: list[Journal] = []
    together = threading.Barrier(THREADS, timeout=10.0)

    class Counted(Journal):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr(broker, "Journal", Counted)
    shop = Broker(f"sqlite:///{tmp_path / 'shop.db'}")

    def submit(number: int) -> str:
        together.wait()
        return shop.submit(Message(task_name="any", uuid=f"t{number}")).writer

    with ThreadPoolExecutor(THREADS) as pool:
        writers = set(pool.map(submit, range(THREADS)))
    assert (len(made), len(writers)) == (1, 1)
    shop.journal.close()


@pytest.mark.parametrize("wrong", [AsyncJournal("memory://"), Path("shop.db"), 42])
def test_what_is_no_journal_is_refused(wrong: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was passed over, and the journal of the environment used instead."""
    monkeypatch.setenv("JOURNEYMAN_JOURNAL", "memory://elsewhere")
    kind = type(wrong).__name__
    with pytest.raises(TypeError, match=rf"Broker\(\) takes a Journal or its URL, got .* {kind}; pass a URL"):
        Broker(wrong)
    shop = Broker("memory://shop")
    with pytest.raises(TypeError, match=rf"bind\(\) takes a Journal or its URL, got .* {kind}; pass a URL"):
        shop.bind(wrong)
    with pytest.raises(TypeError, match="NoneType"):
        shop.bind(None)  # type: ignore[arg-type]
    assert shop.journal.url == "memory://shop"
