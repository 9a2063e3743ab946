"""`journeyman pause` and `resume`, beside a real worker."""

import json
import subprocess
from collections.abc import Callable

import journeyman as jm

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[str]"]


def test_paused_queue_waits_until_it_is_resumed(call: Run, start: Start, url: str) -> None:
    with jm.Journal(url) as journal:
        journal.append("order.paid")
    paused = call("pause", "default", "--reason", "flood", "--journal", url)
    assert (paused.returncode, paused.stdout) == (0, "queue default paused\n")
    assert call("pause", "default", "--journal", url).stdout == "queue default was paused already\n"
    start("worker", "shop.tasks", "--journal", url)  # joins after the pause, and keeps it
    with jm.Journal(url) as journal:
        broker, tracker = jm.Broker(journal), jm.StatusTracker(journal)
        held, other = (jm.Message(task_name="add", args=[1, 2], queue=queue) for queue in ("default", "other"))
        broker.submit_all([held, other], new=True)
        tracker.wait_for(other, jm.TaskStatus.SUCCEEDED, timeout=60)
        assert tracker.get(held).status is jm.TaskStatus.SUBMITTED
        why = json.loads(call("why", held.uuid, "--json", "--journal", url).stdout)["findings"]
        assert [finding["code"] for finding in why] == ["queue_paused"]
        assert why[0]["facts"]["reason"] == "flood"
        assert "`journeyman resume default`" in why[0]["sentence"]
        status = call("status", "--journal", url).stdout
        assert "default (paused)" in status
        assert "`journeyman resume default` lets it go on" in status
        resumed = json.loads(call("resume", "default", "--json", "--journal", url).stdout)
        assert (resumed["queue"], resumed["paused"], resumed["changed"]) == ("default", False, True)
        tracker.wait_for(held, jm.TaskStatus.SUCCEEDED, timeout=60)
    assert call("resume", "default", "--journal", url).stdout == "queue default was not paused\n"
    assert "(paused)" not in call("status", "--journal", url).stdout
