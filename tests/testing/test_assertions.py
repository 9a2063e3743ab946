"""A failing assertion tells what became of the task: its state, its exception with traceback, its history."""

from collections.abc import Iterator

import journeyman as jm
import pytest
from journeyman.tasks.errors import UnknownTaskError
from journeyman.testing import Workbench
from task_modules import bakery


@pytest.fixture
def bench() -> Iterator[Workbench]:
    with Workbench() as bench:
        yield bench


def test_failed_task_shows_its_exception_and_history(bench: Workbench) -> None:
    message = bakery.deliver.generate()
    bench.advance(hours=1)
    with pytest.raises(AssertionError) as told:
        bench.assert_succeeded(message)
    text = str(told.value)
    assert f"the task deliver {message.uuid} was expected to have succeeded; it has failed after 4 attempts" in text
    assert 'raise ConnectionError(f"the street is closed, attempt {message.retries + 1}")' in text
    assert "+0:02:00  task.retried  ConnectionError: the street is closed, attempt 3" in text
    assert isinstance(told.value.__cause__, ConnectionError)


def test_waiting_task_says_when_it_is_due(bench: Workbench) -> None:
    message = bakery.deliver.generate()
    bench.run_until_idle()
    with pytest.raises(AssertionError, match=r"waits to be run after 1 attempt, and is due in 0:01:00\n.*advance"):
        bench.assert_failed(message)


def test_task_that_the_workbench_lacks_is_named(bench: Workbench) -> None:
    @jm.task(bakery.broker)
    def hidden() -> None:
        """It cannot be found from outside of this function."""

    message = hidden.generate()
    bench.run_until_idle()
    with pytest.raises(AssertionError, match=r"has no task 'hidden' for .*hidden: give it to Workbench"):
        bench.assert_succeeded(message)
    bench.add(hidden)
    bench.run_until_idle()
    bench.assert_succeeded(message)


def test_other_failure_than_expected_is_told(bench: Workbench) -> None:
    message = bakery.deliver.generate()
    bench.advance(hours=1)
    with pytest.raises(AssertionError, match="with 'KeyError', not with 'ConnectionError: the street is closed"):
        bench.assert_failed(message, match="KeyError")


def test_states_are_told_apart(bench: Workbench) -> None:
    message = bakery.bake.generate(["rye"])
    for check in (bench.assert_succeeded, bench.assert_failed, bench.assert_running, bench.assert_revoked):
        with pytest.raises(AssertionError, match="it waits to be run, and is due"):
            check(message)
    bench.run_until_idle()
    for check in (bench.assert_waiting, bench.assert_failed, bench.assert_running, bench.assert_revoked):
        with pytest.raises(AssertionError, match="it has succeeded"):
            check(message)
    with pytest.raises(UnknownTaskError, match="knows no task unheard-of"):
        bench.assert_succeeded("unheard-of")


def test_missing_message_is_told_beside_those_there_are(bench: Workbench) -> None:
    bakery.bake.generate(["rye"], {"count": 2})
    bench.run_until_idle()
    bench.assert_submitted("bake", kwargs={"count": 2})
    with pytest.raises(
        AssertionError, match=r"with args=\['oat'\] was submitted(.|\n)*bake\('rye', count=2\): has succ"
    ):
        bench.assert_submitted(bakery.bake, args=["oat"])
    with pytest.raises(AssertionError, match="no message of the task rise was submitted"):
        bench.assert_submitted(bakery.rise)
    assert bench.submitted(bakery.rise) == []


def test_all_must_have_succeeded(bench: Workbench) -> None:
    bakery.bake.generate(["rye"])
    bakery.bake.generate(["oat"], delay=1_000)
    bench.run_until_idle()
    with pytest.raises(AssertionError, match="is due in 0:00:01"):
        bench.assert_all_succeeded()
