"""Commands on many tasks: a dry run, a run at its rate, a stop, and what the journal says of them."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import journeyman as jm
import pytest
from journeyman.consumers import as_of
from journeyman.service import backend
from journeyman.service.commands import routes, state
from journeyman.service.commands.state import CommandView
from journeyman.service.settings import Settings
from support.served_tasks import Gate, worker_of
from support.service import client, keyring, service_here, service_process
from support.waiting import wait_until


@pytest.fixture(scope="module", autouse=True)
def gate(url: str, address: str) -> Iterator[Gate]:
    with worker_of(url) as held:
        yield held


def submit(http: httpx2.Client, name: str, count: int, queue: str, **fields: Any) -> list[str]:
    messages = [
        {"task_name": name, "args": ["green"], "max_retries": 0, "queue": queue, **fields} for _ in range(count)
    ]
    answer = http.post("/tasks", json=messages)
    assert answer.status_code == 201, answer.text
    return list(answer.json()["tasks"])


def die(http: httpx2.Client, count: int, queue: str, **fields: Any) -> list[str]:
    tasks = submit(http, "paint", count, queue, **fields)
    for task in tasks:
        assert http.get(f"/tasks/{task}/result", params={"wait": 30}).status_code == 409
    return tasks


def command(http: httpx2.Client, **said: Any) -> dict[str, Any]:
    answer = http.post("/commands", json=said)
    assert answer.status_code == (200 if said.get("dry_run") else 202), answer.text
    return dict(answer.json())


def ended(http: httpx2.Client, started: dict[str, Any]) -> dict[str, Any]:
    found: list[dict[str, Any]] = []

    def is_over() -> bool:
        found.append(http.get(f"/commands/{started['command']}").json())
        return found[-1]["state"] not in ("running", "stopping")

    wait_until(is_over, "the command to end", 60)
    return found[-1]


def test_dry_run_counts_and_changes_nothing(http: httpx2.Client) -> None:
    tasks = die(http, 3, "dry", tags=["blue"]) + die(http, 1, "dry")
    said = command(http, action="purge", filter={"queue": "dry", "tag": "blue"}, dry_run=True)
    assert (said["matched"], said["complete"]) == (3, True)
    assert {each["task"] for each in said["sample"]} == set(tasks[:3])
    assert (
        command(http, action="purge", filter={"queue": "dry", "exception": "no such COLOUR"}, dry_run=True)["matched"]
        == 4
    )
    moments = {"failed_since": "10m", "failed_until": "0s"}
    assert command(http, action="purge", filter={"queue": "dry", **moments}, dry_run=True)["matched"] == 4
    assert command(http, action="purge", filter={"queue": "dry", "failed_until": "9m"}, dry_run=True)["matched"] == 0
    assert len(http.get("/dead-letters", params={"queue": "dry"}).json()["dead_letters"]) == 4


def test_dry_run_reads_within_a_bound(http: httpx2.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "LIST_EVENTS_MAX", 1)
    die(http, 1, "bound")
    assert command(http, action="purge", filter={"argument": "green"}, dry_run=True)["complete"] is False


def test_command_changes_all_that_match(http: httpx2.Client, url: str) -> None:
    tasks = die(http, 5, "bulk")
    others = die(http, 1, "other")
    done = ended(http, command(http, action="purge", filter={"queue": "bulk"}, rate=2_000, reason="old"))
    assert (done["state"], done["matched"], done["done"], done["changed"]) == ("done", 5, 5, 5)
    assert [http.get(f"/tasks/{task}").json()["state"] for task in tasks + others] == ["revoked"] * 5 + ["failed"]
    (purged,) = (
        step for step in http.get(f"/tasks/{tasks[0]}/history").json()["steps"] if step["name"] == "task.purged"
    )
    assert purged["context"]["by"] == "local"
    assert purged["context"]["reason"] == f"old (command {done['command']})"
    found = http.get("/events", params={"topic": "command", "key": done["command"]}).json()["events"]
    assert [event["name"] for event in found] == ["command.started", "command.ended"]
    first, last = (event["context"] for event in found)
    assert (first["matched"], first["reason"], last["changed"]) == (5, "old", 5)


def test_revoked_tasks_are_those_that_wait(http: httpx2.Client) -> None:
    submit(http, "unheard", 3, "waiting")
    done = ended(http, command(http, action="revoke", filter={"queue": "waiting", "state": "ready"}, rate=2_000))
    assert done["changed"] == 3
    assert http.get("/task-counts", params={"queue": "waiting"}).json()["counts"]["revoked"] == 3


def test_tasks_that_moved_on_are_told(http: httpx2.Client) -> None:
    tasks = die(http, 2, "moved")
    started = command(http, action="purge", tasks=[*tasks, "unknown"], rate=2)
    assert started["matched"] == 2
    assert http.post(f"/tasks/{tasks[1]}/requeue").status_code == 200
    done = ended(http, started)
    assert (done["changed"], done["in_vain"]) in ((1, 1), (2, 0))  # by which was first, the requeue or the command


def test_command_is_stopped_by_another_process(http: httpx2.Client, url: str) -> None:
    die(http, 4, "slow")
    started = command(http, action="requeue", filter={"queue": "slow"}, rate=0.5)
    with service_here(url) as address, client(address) as other:
        stopped = other.post(f"/commands/{started['command']}/stop", json={"reason": "wrong queue"})
        assert stopped.status_code == 200, stopped.text
        done = ended(other, started)
    assert (done["state"], done["stopping_by"]) == ("stopped", "local")
    assert done["done"] < done["matched"] == 4
    assert http.post(f"/commands/{started['command']}/stop").status_code == 409


def test_few_commands_run_at_once(http: httpx2.Client) -> None:
    die(http, 2, "many")
    started = [command(http, action="requeue", filter={"queue": "many"}, rate=0.1) for _ in range(4)]
    refused = http.post("/commands", json={"action": "requeue", "filter": {"queue": "many"}})
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:journeyman:too-many-commands")
    for each in started:
        http.post(f"/commands/{each['command']}/stop")
        assert ended(http, each)["state"] == "stopped"


def test_list_of_commands_has_pages(http: httpx2.Client) -> None:
    die(http, 1, "paged")
    started = []
    for _ in range(3):
        answer = http.post("/commands", json={"action": "purge", "filter": {"queue": "paged"}})
        started.append(answer.json()["command"])
        ended(http, answer.json())
    seen: list[str] = []
    cursor: str | None = None
    while len(seen) < 3:
        page = http.get("/commands", params={"limit": 1} | ({"cursor": cursor} if cursor else {})).json()
        seen += [each["command"] for each in page["commands"]]
        cursor = page["next"]
    assert seen == started[::-1]


def test_answer_names_the_position_of_its_command(http: httpx2.Client, url: str) -> None:
    started = http.post("/commands", json={"action": "purge", "filter": {"queue": "nothing"}})
    with service_here(url) as address, client(address) as other:
        at_least = {"at_least": started.headers["Journal-Cursor"]}
        assert other.get(f"/commands/{started.json()['command']}", params=at_least).status_code == 200
        in_vain = other.get("/commands/unheard")
        assert other.get("/commands", params={"at_least": in_vain.headers["Journal-Cursor"]}).status_code == 200
    ended(http, started.json())


@pytest.mark.parametrize("path", ["/commands", "/dead-letters/requeue", "/dead-letters/purge"])
def test_choice_waits_for_the_position_of_a_write(
    http: httpx2.Client, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(backend, "AT_LEAST_SECONDS", 0.05)
    said = {"action": "purge", "all": True} if path == "/commands" else {"all": True}
    answer = http.post(path, json=said | {"dry_run": True}, params={"at_least": "0:1000000"})
    assert (answer.status_code, answer.json()["type"]) == (412, "urn:journeyman:not-yet-read")


@pytest.mark.parametrize(
    "said",
    [
        {"action": "purge"},
        {"action": "purge", "filter": {}},
        {"action": "purge", "filter": {"queue": "a"}, "all": True},
        {"action": "purge", "filter": {"state": "ready"}},
        {"action": "revoke", "filter": {"exception": "x"}},
        {"action": "requeue", "all": True, "rate": 0},
    ],
)
def test_vague_commands_are_refused(http: httpx2.Client, said: dict[str, Any]) -> None:
    assert http.post("/commands", json=said).status_code == 400


def test_reader_sees_commands_and_starts_none(url: str) -> None:
    settings = Settings(port=0, keyring=keyring("page read " + "r" * 20))
    with service_here(url, settings) as address, client(address, "r" * 20) as reader:
        assert reader.get("/commands").status_code == 200
        assert reader.post("/commands", json={"action": "purge", "all": True}).status_code == 403


@pytest.mark.anyio
async def test_killed_service_leaves_an_abandoned_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path / 'killed.db'}"
    with service_process(url) as served, client(served.address) as http:
        tasks = submit(http, "unheard", 3, "q")
        started = command(http, action="revoke", filter={"queue": "q"}, rate=0.1)
        wait_until(lambda: http.get(f"/tasks/{tasks[0]}").json()["state"] == "revoked", "the first task", 60)
        served.process.kill()
        served.process.wait()
    with service_here(url) as address, client(address) as http:
        found = http.get(f"/commands/{started['command']}").json()
        assert (found["state"], found["matched"]) == ("running", 3)  # it has not been silent for long
        monkeypatch.setattr(state, "COMMAND_SILENCE_SECONDS", 0.0)
        assert http.get("/commands").json()["commands"][0]["state"] == "abandoned"
        assert http.get("/task-counts", params={"queue": "q"}).json()["counts"]["ready"] == 2
    async with jm.AsyncJournal(url) as journal:
        seen = await as_of(journal, CommandView, time.time())
    assert seen.commands[started["command"]].outcome is None


def test_ending_service_says_how_far_its_command_came(url: str, http: httpx2.Client) -> None:
    die(http, 3, "ending")
    with service_here(url) as address, client(address) as other:
        started = command(other, action="requeue", filter={"queue": "ending"}, rate=0.1)
    done = ended(http, started)
    assert done["state"] == "interrupted"
    assert done["done"] < 3
