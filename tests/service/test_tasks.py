"""Tasks over HTTP: submitted, asked about, acted on; the answers are those of the command line."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from journeyman.service.settings import Settings
from support.commands import printed_json
from support.served_tasks import Gate, worker_of
from support.service import client, keyring, service_here

OPS = "ops-key-0123456789abcdef"
SHOP = "shop-key-0123456789abcdef"


@pytest.fixture(scope="module")
def address(url: str) -> Iterator[str]:
    ring = keyring(f"ops admin {OPS}", f"shop read,submit {SHOP}")
    with service_here(url, Settings(keyring=ring, port=0)) as at:
        yield at


@pytest.fixture(scope="module", autouse=True)
def gate(url: str, address: str) -> Iterator[Gate]:
    with worker_of(url) as held:
        yield held


@pytest.fixture
def http(address: str) -> Iterator[httpx2.Client]:
    with client(address, OPS) as made:
        yield made


def submit(http: httpx2.Client, name: str, *args: Any, **fields: Any) -> str:
    answer = http.post("/tasks", json={"task_name": name, "args": list(args), "max_retries": 0, **fields})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["task"])


def ended(http: httpx2.Client, task: str) -> httpx2.Response:
    return http.get(f"/tasks/{task}/result", params={"wait": 30})


def wait_elsewhere(http: httpx2.Client, **fields: Any) -> str:
    """A task that no worker knows, so that it waits."""
    return submit(http, "unheard", **fields)


def test_submitted_task_is_seen_at_once(http: httpx2.Client) -> None:
    answer = http.post("/tasks", json={"task_name": "unheard", "queue": "mail", "tags": ["blue"], "priority": 3})
    said = answer.json()
    assert (answer.status_code, said["name"], said["queue"]) == (201, "unheard", "mail")
    seen = http.get(f"/tasks/{said['task']}").json()
    assert (seen["state"], seen["status"], seen["priority"], seen["tags"]) == ("ready", "SUBMITTED", 3, ["blue"])
    assert said["task"] in [each["task"] for each in http.get("/tasks?state=ready&queue=mail").json()["tasks"]]


def test_submission_answers_as_the_command_does(http: httpx2.Client, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (printed,) = printed_json(monkeypatch, "submit", "unheard", "--journal", url)
    answered = http.post("/tasks", json={"task_name": "unheard"}).json()
    assert printed.keys() - {"journal"} == answered.keys()


def test_known_id_is_a_conflict(http: httpx2.Client) -> None:
    assert wait_elsewhere(http, uuid="order-7") == "order-7"
    again = http.post("/tasks", json={"task_name": "unheard", "uuid": "order-7"})
    assert again.status_code == 409
    assert again.json()["type"] == "urn:journeyman:message-already-exists"
    assert "order-7" in again.json()["detail"]


def test_array_refuses_known_ids_and_accepts_the_rest(http: httpx2.Client) -> None:
    wait_elsewhere(http, uuid="order-8")
    given = [{"task_name": "unheard", "uuid": each} for each in ("order-9", "order-8", "order-10")]
    answer = http.post("/tasks", json=given)
    assert answer.status_code == 409
    assert answer.json()["refused"] == ["order-8"]
    assert sorted(answer.json()["accepted"]) == ["order-10", "order-9"]
    assert http.get("/tasks/order-10").json()["state"] == "ready"


def test_array_is_submitted_in_order(http: httpx2.Client) -> None:
    answer = http.post("/tasks", json=[{"task_name": "add", "args": [1, each]} for each in range(20)])
    assert answer.status_code == 201
    assert [ended(http, task).json()["result"] for task in answer.json()["tasks"]] == list(range(1, 21))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "task_name"),
        ({"task_name": ""}, "names its task"),
        ({"task_name": "add", "priority": -1}, "priority"),
        ({"task_name": "add", "colour": "red"}, "colour"),
        ({"task_name": "add", "ttl": 0}, "ttl"),
        ({"task_name": "add", "uuid": "x@1"}, "a link of a chain"),
    ],
)
def test_bad_submission_is_told_in_a_sentence(http: httpx2.Client, body: dict[str, Any], said: str) -> None:
    answer = http.post("/tasks", json=body)
    assert answer.status_code == 400
    assert said in answer.text


def test_repeated_idempotency_key_submits_nothing_twice(http: httpx2.Client) -> None:
    body, headers = {"task_name": "unheard", "args": [7]}, {"Idempotency-Key": "order 7"}
    first, again = (http.post("/tasks", json=body, headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    other = http.post("/tasks", json={**body, "args": [8]}, headers=headers)
    assert (other.status_code, other.json()["type"]) == (409, "urn:journeyman:idempotency-key-used")
    many = [http.post("/tasks", json=[body, body], headers={"Idempotency-Key": "both"}) for _ in range(2)]
    assert many[0].json() == many[1].json()
    history = http.get(f"/tasks/{many[1].json()['tasks'][1]}/history").json()
    assert [step["name"] for step in history["steps"]] == ["task.submitted"]


def test_result_is_waited_for(http: httpx2.Client) -> None:
    answer = ended(http, submit(http, "add", 2, 3))
    assert (answer.status_code, answer.json()["result"]) == (200, 5)
    assert "serializer" not in answer.json()


def test_result_that_is_not_there_yet_is_accepted(http: httpx2.Client) -> None:
    answer = http.get(f"/tasks/{wait_elsewhere(http)}/result")
    assert (answer.status_code, answer.json()["state"]) == (202, "ready")


def test_result_of_a_failed_task_is_its_exception(http: httpx2.Client) -> None:
    answer = ended(http, submit(http, "paint", "red"))
    assert answer.status_code == 409
    assert answer.json()["exception"]["name"].endswith("ValueError")
    assert "no such colour: red" in answer.json()["exception"]["traceback"]


def test_chain_is_submitted_and_followed(http: httpx2.Client) -> None:
    root = submit(http, "add", 2, 3, callback=[{"task_name": "count"}, {"task_name": "add", "args": [1, 1]}])
    assert ended(http, f"{root}@2").json()["result"] == 2
    assert ended(http, f"{root}@1").json()["result"] == 5
    chain = http.get(f"/tasks/{root}/history").json()["chain"]
    assert [task["id"] for task in chain["tasks"]] == [root, f"{root}@1", f"{root}@2"]


@pytest.mark.parametrize("path", ["", "/result", "/history", "/why", "/stream"])
def test_unknown_task_is_not_found(http: httpx2.Client, path: str) -> None:
    answer = http.get(f"/tasks/nothing{path}")
    assert answer.status_code == 404
    assert "nothing" in answer.json()["detail"]


def test_history_is_that_of_the_command(http: httpx2.Client, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    task = submit(http, "add", 1, 1, callback=[{"task_name": "count"}])
    ended(http, f"{task}@1")
    *steps, chain = printed_json(monkeypatch, "history", task, "--journal", url)
    answered = http.get(f"/tasks/{task}/history").json()
    assert answered["steps"] == steps
    assert {"chain": answered["chain"]} == chain
    assert [step["name"] for step in steps] == ["task.submitted", "task.claimed", "task.succeeded"]


def test_why_is_that_of_the_command(http: httpx2.Client, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for task in (wait_elsewhere(http), submit(http, "add", 1, 1)):
        ended(http, task) if http.get(f"/tasks/{task}").json()["name"] == "add" else None
        (printed,) = printed_json(monkeypatch, "why", task, "--journal", url)
        answered = http.get(f"/tasks/{task}/why").json()
        assert answered.keys() == printed.keys()
        assert [each["code"] for each in answered["findings"]] == [each["code"] for each in printed["findings"]]
        assert {**answered, "as_of": 0, "findings": 0} == {**printed, "as_of": 0, "findings": 0}


def test_short_id_stands_for_its_task(http: httpx2.Client) -> None:
    task = wait_elsewhere(http)
    assert http.get(f"/tasks/…{task[-8:]}").json()["task"] == task


def test_acts_name_the_key_as_their_actor(http: httpx2.Client, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    task = wait_elsewhere(http)
    done = http.post(f"/tasks/{task}/revoke", json={"reason": "sold out"})
    assert (done.status_code, done.json()["disposition"]) == (200, "revoked")
    assert http.get(f"/tasks/{task}").json()["state"] == "revoked"
    step = http.get(f"/tasks/{task}/history").json()["steps"][-1]
    assert (step["context"]["by"], step["context"]["reason"]) == ("ops", "sold out")
    (printed,) = printed_json(monkeypatch, "revoke", task, "--journal", url)
    again = http.post(f"/tasks/{task}/revoke")
    assert (again.status_code, again.json()["disposition"]) == (409, printed["disposition"])
    assert printed.keys() == done.json().keys()


@pytest.mark.parametrize(
    ("act", "disposition", "state"),
    [("ack", "acknowledged", "succeeded"), ("fail", "dead_lettered", "failed"), ("retry", "rescheduled", "ready")],
)
def test_task_is_ended_or_tried_again_by_hand(http: httpx2.Client, act: str, disposition: str, state: str) -> None:
    task = wait_elsewhere(http)
    assert http.post(f"/tasks/{task}/{act}").json()["disposition"] == disposition
    assert http.get(f"/tasks/{task}").json()["state"] == state
    assert http.post(f"/tasks/{task}/{act}", json={"claim": 1}).status_code == 409


def test_act_on_an_unknown_task_is_not_found(http: httpx2.Client) -> None:
    for act in ("revoke", "requeue", "ack"):
        answer = http.post(f"/tasks/nothing/{act}")
        assert (answer.status_code, answer.json()["disposition"]) == (404, "unknown"), act
    assert http.post("/tasks/nothing/retry").status_code == 409


def test_running_task_is_revoked_or_left_alone(http: httpx2.Client, gate: Gate) -> None:
    task = submit(http, "hold", 1)
    answer = http.post(f"/tasks/{task}/revoke", json={"skip_if_running": True})
    assert answer.json()["disposition"] in ("running", "revoked")
    gate.opened.set()
    ended(http, task)
    gate.opened.clear()


def test_state_of_a_past_moment_is_told(http: httpx2.Client) -> None:
    task = submit(http, "add", 1, 2)
    ended(http, task)
    steps = http.get(f"/tasks/{task}/history").json()["steps"]
    states = [http.get(f"/tasks/{task}", params={"as_of": step["timestamp"]}).json()["state"] for step in steps]
    assert states == ["ready", "claimed", "succeeded"]
    past = http.get(f"/tasks/{task}/history", params={"as_of": steps[0]["timestamp"]}).json()
    assert past["steps"] == steps[:1]
    why = http.get(f"/tasks/{task}/why", params={"as_of": steps[0]["timestamp"]}).json()
    assert (why["state"], why["as_of"]) == ("ready", steps[0]["timestamp"])


def test_lists_are_paged_from_the_newest_on(http: httpx2.Client) -> None:
    made = [wait_elsewhere(http, queue="paged", tags=["odd"] if number % 2 else []) for number in range(7)]
    done = [submit(http, "add", 1, number, queue="paged") for number in range(4)]
    for task in done:
        ended(http, task)

    def pages(**filters: Any) -> list[list[str]]:
        found, cursor = [], None
        while True:
            more: dict[str, str] = {} if cursor is None else {"cursor": cursor}
            answer = http.get("/tasks", params={"limit": 3, "queue": "paged", **filters, **more})
            assert answer.status_code == 200, answer.text
            found.append([task["task"] for task in answer.json()["tasks"]])
            cursor = answer.json()["next"]
            if cursor is None:
                return found

    def listed(**filters: Any) -> list[str]:
        return [task for page in pages(**filters) for task in page]

    assert pages(state="ready") == [made[:3:-1], made[3:0:-1], made[:1]]
    assert listed() == [*reversed(done), *reversed(made)]
    assert listed(state="succeeded") == done[::-1]
    assert listed(state="ready", tag="odd") == made[::-1][1::2]
    assert listed(tag="odd") == made[::-1][1::2]
    assert listed(name="add", state="revoked") == []
    times = [http.get(f"/tasks/{task}").json()["submitted_at"] for task in made]
    assert listed(since=times[2], until=times[4]) == made[4:1:-1]
    assert listed(as_of=times[2]) == made[2::-1]
    assert http.get("/tasks?cursor=x").status_code == 400
    assert http.get("/tasks?state=busy").status_code == 400


def test_submitter_may_not_act(address: str) -> None:
    with client(address, SHOP) as http:
        assert http.post("/tasks", json={"task_name": "unheard"}).status_code == 201
        assert http.post("/tasks/order-7/revoke").status_code == 403
        assert http.get("/tasks").status_code == 200


def test_answer_waits_for_the_position_of_a_write(http: httpx2.Client) -> None:
    written = http.post("/tasks", json={"task_name": "unheard"})
    for path in ("/tasks", "/queues", "/workers", "/locks", "/schedules", "/dead-letters", "/status"):
        answer = http.get(path, params={"at_least": written.headers["Journal-Cursor"]})
        assert answer.status_code == 200, path
        assert answer.headers["Journal-Cursor"].startswith("0:"), path
        assert http.get(path, params={"at_least": "x"}).status_code == 400, path


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/tasks/unheard"),
        ("GET", "/tasks/unheard/result"),
        ("GET", "/tasks/unheard/history"),
        ("GET", "/tasks/unheard/why"),
        ("GET", "/tasks/unheard/stream"),
        ("GET", "/tasks/gone/result"),
        ("GET", "/dead-letters/unheard"),
        ("GET", "/dead-letters/gone"),
        ("GET", "/queues/unheard"),
        ("GET", "/locks/unheard"),
        ("GET", "/schedules/unheard"),
        ("GET", "/workers/unheard"),
        ("POST", "/tasks/unheard/revoke"),
        ("POST", "/tasks/gone/revoke"),
        ("POST", "/schedules/unheard/pause"),
    ],
)
def test_refusal_names_the_position_it_is_about(http: httpx2.Client, method: str, path: str) -> None:
    if http.get("/tasks/gone").status_code == 404:
        submit(http, "unheard", uuid="gone")
        assert http.post("/tasks/gone/revoke").status_code == 200
    answer = http.request(method, path)
    assert answer.status_code in (404, 409)
    assert http.get("/status", params={"at_least": answer.headers["Journal-Cursor"]}).status_code == 200


def test_conflict_of_ids_names_its_position(http: httpx2.Client) -> None:
    submit(http, "unheard", uuid="twice")
    for said in ({"task_name": "unheard", "uuid": "twice"}, [{"task_name": "unheard", "uuid": "twice"}]):
        answer = http.post("/tasks", json=said)
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:journeyman:message-already-exists")
        assert http.get("/status", params={"at_least": answer.headers["Journal-Cursor"]}).status_code == 200
