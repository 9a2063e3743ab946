"""5. A task that raises runs again, `max_retries` times. After its last attempt it is a dead letter.

A dead letter keeps its error, and can be requeued once the cause is removed. Each failure and each new attempt is an
event, so nothing of it is lost.
"""

import journeyman as jm
import pytest
from support.workers import working

AT_ONCE = jm.ConstantBackoff(0, floor=0)


def test_failed_attempt_is_followed_by_another(journal: jm.Journal, url: str) -> None:
    @jm.task(jm.Broker(journal), max_retries=2, backoff=AT_ONCE)
    def bake(message: jm.Message) -> str:
        if message.retries < 2:
            raise OSError("the oven is cold")
        return f"baked in attempt {message.retries + 1}"

    message = bake.generate()
    with working([bake], url):
        assert jm.ResultStore(journal).get(message, timeout=60_000) == "baked in attempt 3"

    retried = [event for event in journal.read().events if event.name == "task.retried"]
    assert [event.context["exception"]["text"] for event in retried] == ["the oven is cold"] * 2


def test_last_failure_makes_a_dead_letter_to_requeue(journal: jm.Journal, url: str) -> None:
    broker = jm.Broker(journal)
    flour: list[str] = []

    @jm.task(broker, max_retries=0)
    def bake() -> str:
        return f"bread of {flour[0]}"

    message = bake.generate()
    results = jm.ResultStore(journal)
    with working([bake], url):
        with pytest.raises(jm.TaskFailedError) as failure:
            results.get(message, timeout=60_000)
        assert failure.value.name == "IndexError"

        # It waits for an operator. With the cause removed, `requeue` gives it its attempts again.
        flour.append("rye")
        assert broker.requeue(message, by="ada", reason="flour has come").disposition is jm.Disposition.REQUEUED
        assert results.get(message, timeout=60_000) == "bread of rye"
