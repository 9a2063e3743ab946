"""A workbench borrows all brokers of the process, and gives each of them back with all that it had."""

import threading
from pathlib import Path

import journeyman as jm
import pytest
from journeyman.tasks import message as message_module
from journeyman.testing import Workbench
from task_modules import bakery


def test_nothing_reaches_the_journal_that_a_broker_names(tmp_path: Path) -> None:
    broker = jm.Broker(f"sqlite:///{tmp_path}/real.db")
    with Workbench():
        broker.submit(jm.Message(task_name="anything"))
        late = jm.Broker(f"sqlite:///{tmp_path}/real.db")  # as of a module that is imported within the test
        late.submit(jm.Message(task_name="anything"))
    assert list(tmp_path.iterdir()) == []
    assert broker.opening_url == late.opening_url == f"sqlite:///{tmp_path}/real.db"


def test_open_journal_is_the_same_afterwards(tmp_path: Path) -> None:
    with jm.Journal(f"sqlite:///{tmp_path}/real.db") as journal:
        broker = jm.Broker(journal)
        broker.submit(jm.Message(task_name="before"))
        with Workbench() as bench:
            assert broker.journal is bench.journal
            broker.submit(jm.Message(task_name="during"))
        assert broker.journal is journal
        broker.submit(jm.Message(task_name="after"))
        assert [event.context["task_name"] for event in journal.read().events] == ["before", "after"]


def test_brokers_come_back_from_a_test_that_fails() -> None:
    url = bakery.broker.opening_url

    def fail() -> None:
        with Workbench():
            assert bakery.broker.opening_url != url
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert bakery.broker.opening_url == url
    assert not bakery.unnamed.has_journal


def test_inner_workbench_keeps_to_itself() -> None:
    with Workbench() as outer:
        first = bakery.bake.generate(["rye"])
        with Workbench() as inner:
            second = bakery.bake.generate(["spelt"])
            made = jm.Broker("sqlite:////nowhere/else.db")
            inner.advance(hours=5)
            assert [each.uuid for each in inner.submitted()] == [second.uuid]
            outer.run_until_idle()  # by its own clock, which stands where it stood
            assert outer.result(first) == "1 × rye"
            assert (inner.now - outer.now).total_seconds() == pytest.approx(5 * 3_600, abs=60)
        assert made.journal is outer.journal
        third = bakery.bake.generate(["oat"])
        outer.run_until_idle()
        assert [each.uuid for each in outer.submitted()] == [first.uuid, third.uuid]
    assert made.opening_url == "sqlite:////nowhere/else.db"


def test_outer_workbench_cannot_be_left_first() -> None:
    outer = Workbench()
    with outer, Workbench(), pytest.raises(RuntimeError, match="opened last first"):
        outer.__exit__(None, None, None)


def test_nothing_of_the_workbench_is_left_behind() -> None:
    clock, threads = vars(message_module)["time"], threading.enumerate()
    with Workbench() as bench:
        bakery.rise.generate([1])
        bench.run_until_idle()
        assert vars(message_module)["time"] is not clock
    assert vars(message_module)["time"] is clock
    assert [thread for thread in threading.enumerate() if thread not in threads] == []
