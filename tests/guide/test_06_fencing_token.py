"""6. The order of the log decides which worker owns a task. The position of its claim is the fencing token.

No lock and no clock is involved. Workers append `task.claimed`, and every reader applies the same rule: the first claim
of a ready task wins, the others are refused. An outcome names the claim it belongs to, and is refused once another
claim has taken its place. Here the test appends the events of two workers itself, to show the rule alone.
"""

import journeyman as jm
from journeyman.tasks import Verdict
from journeyman.tasks.inspection.history import Step, task_history


def steps(journal: jm.Journal, task: str) -> list[Step]:
    """The events of a task, each with the verdict of the rules."""
    return journal.run(task_history(journal.asynchronous, task)).steps


def join(journal: jm.Journal, worker: str) -> None:
    journal.append("worker.joined", {"worker": worker, "host": "here", "pid": 1, "lease_ms": 15_000}, key=worker)


def submit(journal: jm.Journal) -> str:
    message = jm.Message(task_name="bake")
    jm.Broker(journal).submit(message)
    return message.uuid


def test_first_claim_in_log_order_wins(journal: jm.Journal) -> None:
    join(journal, "ada")
    join(journal, "bob")
    task = submit(journal)

    journal.append("task.claimed", {"task": task, "worker": "ada"}, key=task)
    journal.append("task.claimed", {"task": task, "worker": "bob"}, key=task)

    _, first, second = steps(journal, task)
    assert (first.verdict, second.verdict) == (Verdict.ACCEPTED, Verdict.REFUSED)
    assert second.reason == "second claim: another one came first"


def test_outcome_of_a_former_claim_is_refused(journal: jm.Journal) -> None:
    join(journal, "ada")
    join(journal, "bob")
    task = submit(journal)

    claim = journal.append("task.claimed", {"task": task, "worker": "ada"}, key=task)
    # The worker ada is silent for its whole lease; bob expires ada's session, naming the last event it saw of it.
    expiry = {"worker": "ada", "by": "bob", "last": claim.offset}
    journal.append("worker.expired", expiry, key="ada")
    newer = journal.append("task.claimed", {"task": task, "worker": "bob"}, key=task)

    # ada was only slow. Its outcome comes late and changes nothing; that of bob counts.
    for worker, token, result in (("ada", claim.offset, "burnt"), ("bob", newer.offset, "bread")):
        journal.append("task.succeeded", {"task": task, "worker": worker, "claim": token, "result": result}, key=task)

    late, good = steps(journal, task)[-2:]
    assert late.verdict is Verdict.REFUSED
    assert late.reason.startswith("stale outcome")
    assert good.verdict is Verdict.ACCEPTED
    assert jm.ResultStore(journal).get(task) == "bread"
