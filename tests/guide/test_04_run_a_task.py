"""4. A task is a function. Submitting it appends an event; a worker that follows the log claims it and runs it.

There is no broker process between the two, and no table of jobs. The state of the queue is a view, folded from the
events `task.submitted`, `task.claimed`, `task.succeeded` and so on, by the submitting program and by each worker.
"""

import journeyman as jm
from support.workers import working


def test_submitted_task_runs_and_has_a_result(journal: jm.Journal, url: str) -> None:
    @jm.task(jm.Broker(journal), queue="oven")
    def bake(loaves: int) -> str:
        return f"{loaves} loaves"

    assert bake(3) == "3 loaves"  # it is still a function: this call runs it here

    # Once `generate` returns, the task is in the journal, on disk. No worker has to run yet.
    message = bake.generate([12])
    assert [event.name for event in journal.read().events] == ["task.submitted"]

    with working([bake], url):
        assert jm.ResultStore(journal).get(message, timeout=60_000) == "12 loaves"


def test_life_of_a_task_is_its_events(journal: jm.Journal, url: str) -> None:
    @jm.task(jm.Broker(journal))
    def bake(loaves: int) -> str:
        return f"{loaves} loaves"

    message = bake.generate([12])
    with working([bake], url):
        jm.ResultStore(journal).get(message, timeout=60_000, keep=True)

    # The life of the task is its events. They have its id as their key, so they stand in one partition, in order.
    events = [event for event in journal.read().events if event.key == message.uuid]
    assert [event.name for event in events] == ["task.submitted", "task.claimed", "task.succeeded"]
    assert events[2].context["result"] == "12 loaves"
