"""A broker that many threads use at once, as in a web application."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from journeyman.journal import AsyncJournal, Journal
from journeyman.tasks import Broker, Message, broker
from journeyman.tasks.broker import bind_all

THREADS = 8


def test_threads_racing_for_first_use_open_one_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the others would be a writer of its own that stays open."""
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
def test_value_that_is_no_journal_is_refused(wrong: Any, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_broker_uses_the_worker_journal_unless_several_are_named() -> None:
    own, one, other = Broker(), Broker("memory://one"), Broker("memory://other")
    bind_all([own, one], "memory://worker")
    assert {own.opening_url, one.opening_url} == {"memory://worker"}
    own, one = Broker(), Broker("memory://one")
    bind_all([own, one, other], "memory://worker")
    assert [each.opening_url for each in (own, one, other)] == ["memory://worker", "memory://one", "memory://other"]
    opened = one.journal
    bind_all([one], "memory://one")
    assert one.journal is opened


_FORKING = """
import os, sys, threading
from journeyman.tasks import Broker, Message

shop = Broker(sys.argv[1])
held, done = threading.Event(), threading.Event()

def opens():
    with shop._opening:
        held.set()
        done.wait()

threading.Thread(target=opens).start()
held.wait()
child = os.fork()
if not child:
    shop.submit(Message(task_name="any", uuid="t1"))
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
done.set()
"""


@pytest.mark.skipif(sys.version_info >= (3, 12) and sys.platform == "darwin", reason="forking beside threads")
def test_child_forked_during_open_opens_its_own_journal(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _FORKING, f"sqlite:///{tmp_path / 'shop.db'}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, "0\n"), ended.stderr
