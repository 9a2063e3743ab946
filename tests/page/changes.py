"""A queue of which everything has changed since a moment: for the tests of what is shown as of that moment."""

from typing import Any

import httpx2
from page.furniture import HELD_LOCK, OTHER_SCHEDULE, SCHEDULE, furnish
from support.waiting import wait_until


def post(http: httpx2.Client, path: str, said: Any = None) -> dict[str, Any]:
    """Post, and return the answer, which is no refusal."""
    answer = http.post(path, json=said)
    assert answer.status_code in (200, 201, 202), answer.text
    return dict(answer.json())


def begin(url: str, http: httpx2.Client) -> dict[str, str]:
    """Fill the journal that `http` serves; returns the names of what is there, by its kind."""
    service = furnish(url, str(http.base_url))
    worker = str(post(http, "/workers/join", {"tasks": ["sell"]})["worker"])
    (sold,) = post(http, "/tasks", [{"task_name": "sell", "queue": "counter"}])["tasks"]
    (letter,) = post(http, "/tasks", [{"task_name": "burn", "queue": "stove"}])["tasks"]
    post(http, f"/tasks/{letter}/fail")
    slow = post(http, "/tasks", [{"task_name": "wait", "queue": "slow"} for _ in range(3)])["tasks"]
    said = {"action": "revoke", "filter": {"queue": "slow"}, "rate": 0.1}
    command = str(post(http, "/commands", said)["command"])
    wait_until(lambda: http.get(f"/tasks/{slow[0]}").json()["state"] == "revoked", "the first act of the command", 60)
    names = {"task": sold, "letter": letter, "worker": worker, "queue": "counter", "command": command}
    return names | {"lock": HELD_LOCK, "schedule": SCHEDULE, "service": service["id"]}


def change(url: str, http: httpx2.Client, names: dict[str, str]) -> None:
    """Change all of it."""
    (claimed,) = post(http, "/workers/claim", {"worker": names["worker"]})["tasks"]
    post(http, "/workers/complete", {"worker": names["worker"], "task": claimed["task"], "claim": claimed["claim"]})
    post(http, "/workers/join", {"tasks": ["weigh"]})
    post(http, f"/locks/{HELD_LOCK}/release", {})
    for schedule in (SCHEDULE, OTHER_SCHEDULE):
        post(http, f"/schedules/{schedule}/pause", {})
    post(http, f"/queues/{names['queue']}/pause", {})
    post(http, f"/tasks/{names['letter']}/requeue")
    post(http, f"/commands/{names['command']}/stop", {})
    wait_until(
        lambda: http.get(f"/commands/{names['command']}").json()["state"] == "stopped", "the command to stop", 60
    )
    assert http.patch(f"/topchef/services/{names['service']}", json={"description": "prints two"}).status_code == 200
    furnish(url, str(http.base_url))
    post(http, "/tasks", {"task_name": "weigh", "queue": f"{names['queue']}-new"})
