"""Remote workers over real HTTP: sessions, claims, reports, takeovers; and the two examples, one of them killed."""

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import journeyman as jm
import pytest
from journeyman.journal.memory.log import shared_store
from journeyman.service.remote import outcomes
from journeyman.service.settings import Settings
from support.service import client, keyring, service_here
from support.waiting import wait_until

EXAMPLES = Path(__file__).parents[2] / "examples"
LEASE_MS = 500
Post = Callable[..., dict[str, Any]]


@pytest.fixture
def broker(url: str, address: str) -> Iterator[jm.Broker]:
    """A broker on the journal of the service; each test has task names of its own."""
    with jm.Journal(url) as journal:
        yield jm.Broker(journal)


@pytest.fixture
def post(http: httpx2.Client) -> Post:
    """Post a request of a worker and return the answer, with its status."""

    def call(what: str, several: list[dict[str, Any]] | None = None, **body: Any) -> dict[str, Any]:
        answer = http.post(f"/workers/{what}", json=body if several is None else several)
        return {"status": answer.status_code, **answer.json()}

    return call


@pytest.fixture
def join(post: Post, request: pytest.FixtureRequest) -> Iterator[Callable[..., str]]:
    """Open sessions for tasks of the test's own name; they are left at the end."""
    workers: list[str] = []

    def call(**body: Any) -> str:
        answer = post("join", **({"tasks": [request.node.name]} | body))
        assert answer["status"] == 201, answer
        workers.append(answer["worker"])
        return workers[-1]

    yield call
    for worker in workers:
        post("leave", worker=worker)


@pytest.fixture
def submit(broker: jm.Broker, request: pytest.FixtureRequest) -> Callable[..., jm.Message]:
    """Submit a task of the test's own name."""

    def call(*args: Any, **fields: Any) -> jm.Message:
        message = jm.Message(request.node.name, args=args, **fields)
        broker.submit(message)
        return message

    return call


def claimed(post: Post, worker: str, **body: Any) -> list[dict[str, Any]]:
    answer = post("claim", worker=worker, **({"wait": 10} | body))
    assert answer["status"] == 200, answer
    tasks: list[dict[str, Any]] = answer["tasks"]
    return tasks


def mine(worker: str, task: dict[str, Any]) -> dict[str, Any]:
    return {"worker": worker, "task": task["task"], "claim": task["claim"]}


def status_of(broker: jm.Broker, message: jm.Message) -> jm.TaskStatus:
    return jm.StatusTracker(broker.journal).get(message).status


def test_tasks_between_those_of_others_are_claimed_together(
    post: Post, join: Callable[..., str], submit: Callable[..., jm.Message]
) -> None:
    ours = []
    for number in range(4):
        submit(queue="theirs")
        ours.append(submit(number, queue="ours").uuid)
    answer = post("claim", worker=join(queues=["ours"]), limit=4, wait=20)
    assert [task["task"] for task in answer["tasks"]] == ours
    assert [task["args"] for task in answer["tasks"]] == [[0], [1], [2], [3]]


def test_claimed_task_brings_its_arguments(post: Post, join: Any, submit: Any) -> None:
    message = submit(2, 3, metadata={"order": 7}, tags=("mail",))
    worker = join()
    (task,) = claimed(post, worker)
    assert task["task"] == message.uuid
    assert (task["args"], task["attempt"], task["metadata"], task["tags"]) == ([2, 3], 1, {"order": 7}, ["mail"])


def test_claimed_task_brings_its_amended_metadata(post: Post, join: Any, submit: Any, broker: jm.Broker) -> None:
    message = submit(2, metadata={"order": 7})
    assert broker.sync_to_journal(message.update(metadata={"order": 8}))
    (task,) = claimed(post, join())
    assert (task["args"], task["metadata"]) == ([2], {"order": 8})


def test_completed_task_has_its_result(post: Post, join: Any, submit: Any, broker: jm.Broker) -> None:
    message = submit(2, 3)
    worker = join()
    (task,) = claimed(post, worker)
    outcome = post("complete", **mine(worker, task), result={"sum": 5}, ran_ms=1.5)
    assert (outcome["accepted"], outcome["state"]) == (True, "SUCCEEDED")
    assert jm.ResultStore(broker.journal).get(message, timeout=5_000, keep=True) == {"sum": 5}


def test_second_outcome_is_refused(post: Post, join: Any, submit: Any) -> None:
    submit()
    worker = join()
    (task,) = claimed(post, worker)
    assert post("complete", **mine(worker, task))["status"] == 200
    refused = post("complete", **mine(worker, task))
    assert (refused["status"], refused["type"]) == (409, "urn:journeyman:stale-outcome")
    assert "SUCCEEDED" in refused["detail"]


def test_several_outcomes_are_reported_in_one_append(post: Post, join: Any, submit: Any) -> None:
    for number in range(3):
        submit(number)
    worker = join()
    tasks = claimed(post, worker, limit=3)
    assert len(tasks) == 3
    reports = [{**mine(worker, task), "result": number} for number, task in enumerate(tasks)]
    reports[1]["claim"] += 1_000
    answer = post("complete", reports)
    assert [each["accepted"] for each in answer["outcomes"]] == [True, False, True]


def test_waiting_worker_is_woken_by_a_submission(post: Post, join: Any, submit: Any) -> None:
    worker = join()
    found: list[list[dict[str, Any]]] = []
    waiting = threading.Thread(target=lambda: found.append(claimed(post, worker, wait=30)))
    waiting.start()
    message = submit()
    waiting.join(60)
    assert [task["task"] for task in found[0]] == [message.uuid]


def test_claim_without_tasks_answers_an_empty_list(post: Post, join: Any) -> None:
    assert claimed(post, join(), wait=0) == []


def test_lost_answer_is_given_again(post: Post, join: Any, submit: Any) -> None:
    submit()
    worker = join()
    first = claimed(post, worker)
    assert claimed(post, worker) == first
    assert claimed(post, worker, holding=[first[0]["task"]], wait=0) == []


def test_failed_task_is_a_dead_letter(post: Post, join: Any, submit: Any, broker: jm.Broker) -> None:
    message = submit()
    worker = join()
    (task,) = claimed(post, worker)
    error = {"name": "TypeError", "text": "no such colour", "traceback": "at paint (worker.mjs:3)"}
    assert post("fail", **mine(worker, task), error=error)["state"] == "FAILED"
    with pytest.raises(jm.TaskFailedError, match="no such colour"):
        jm.ResultStore(broker.journal).get(message, timeout=5_000)


def test_retried_task_runs_again_until_its_last_attempt(post: Post, join: Any, submit: Any) -> None:
    submit(max_retries=1)
    worker = join()
    error = {"name": "Error"}
    (task,) = claimed(post, worker)
    assert post("retry", **mine(worker, task), error=error, delay_ms=0)["state"] == "READY"
    (task,) = claimed(post, worker)
    assert task["attempt"] == 2
    assert post("retry", **mine(worker, task), error=error, delay_ms=0)["state"] == "FAILED"


def test_delay_without_an_attempt_is_not_counted(post: Post, join: Any, submit: Any) -> None:
    submit(max_retries=0)
    worker = join()
    (task,) = claimed(post, worker)
    later = {"error": {"name": "RateLimited"}, "delay_ms": 0, "uses_attempt": False}
    assert post("retry", **mine(worker, task), **later)["state"] == "READY"
    (task,) = claimed(post, worker)
    assert task["attempt"] == 1


def test_progress_is_seen_and_bounded(
    post: Post, join: Any, submit: Any, broker: jm.Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes, "report_interval", lambda _: 3_600.0)  # however slow this test is
    message = submit()
    worker = join()
    (task,) = claimed(post, worker)
    assert post("progress", **mine(worker, task), done=1, total=2, text="half")["accepted"]
    details = jm.StatusTracker(broker.journal).get(message).details
    assert details is not None
    assert details["progress"] == {"done": 1, "total": 2, "text": "half"}
    refused = post("progress", **mine(worker, task), value=1)
    assert refused["status"] == 429
    assert "every 3,600.0 s at most" in refused["detail"]
    assert post("progress", **mine(worker, task))["status"] == 400


def test_chain_goes_on_with_the_result(post: Post, join: Any, submit: Any, broker: jm.Broker, request: Any) -> None:
    task = jm.task(broker, name=request.node.name)(lambda previous_result=None: previous_result)
    task.generate(callback=task.generate(submit=False))
    worker = join()
    (first,) = claimed(post, worker)
    post("complete", **mine(worker, first), result=[1, 2])
    (second,) = claimed(post, worker)
    assert second["previous_result"] == [1, 2]
    assert second["previous_message_uuid"] == first["task"]


def test_claims_with_tasks_of_others_between_them_are_described(
    post: Post, join: Any, submit: Any, broker: jm.Broker
) -> None:
    for number in range(3):
        submit(number)
        broker.submit(jm.Message("unheard-of"))
    assert [task["args"] for task in claimed(post, join(), limit=3)] == [[0], [1], [2]]


def test_silent_worker_loses_its_claim_to_another(post: Post, join: Any, submit: Any) -> None:
    submit()
    silent, other = join(lease_ms=LEASE_MS), join(lease_ms=LEASE_MS)
    (task,) = claimed(post, silent)
    (again,) = claimed(post, other, wait=20)
    assert (again["task"], again["attempt"]) == (task["task"], 2)
    late = post("complete", **mine(silent, task))
    assert (late["status"], late["type"]) == (409, "urn:journeyman:stale-outcome")
    assert post("claim", worker=silent)["status"] == 410
    assert post("complete", **mine(other, again))["accepted"]


def test_worker_silent_in_one_partition_serves_all_again() -> None:
    store = shared_store("remote-partitions", 3)
    with (
        service_here("memory://remote-partitions") as address,
        client(address) as http,
        jm.Journal("memory://remote-partitions") as journal,
    ):
        broker = jm.Broker(journal)

        def post(what: str, **body: Any) -> dict[str, Any]:
            answer = http.post(f"/workers/{what}", json=body)
            assert answer.status_code < 300, answer.text
            return dict(answer.json())

        silent, other = (post("join", tasks=["spread"], lease_ms=LEASE_MS)["worker"] for _ in range(2))
        broker.submit(jm.Message("spread", uuid="first"))
        (lost,) = post("claim", worker=silent, wait=10)["tasks"]
        (taken,) = post("claim", worker=other, wait=30)["tasks"]
        assert (lost["task"], taken["task"], taken["attempt"]) == ("first", "first", 2)
        wanted = {f"task-{number}" for number in range(30)}
        for uuid in sorted(wanted):
            broker.submit(jm.Message("spread", uuid=uuid))
        assert all(each.end > 5 for each in store.partitions), "each partition holds tasks"
        assert {task["task"] for task in post("claim", worker=silent, limit=30)["tasks"]} == wanted


def test_beating_worker_keeps_its_claim(post: Post, join: Any, submit: Any) -> None:
    submit()
    worker, other = join(lease_ms=2 * LEASE_MS), join(lease_ms=2 * LEASE_MS)
    (task,) = claimed(post, worker)
    for _ in range(6):  # each waits for a quarter of the lease
        assert claimed(post, other, wait=LEASE_MS / 2_000) == []
        assert post("beat", worker=worker)["tasks"] == [task["task"]]
    assert post("complete", **mine(worker, task))["accepted"]


def test_left_tasks_go_back_without_an_attempt(post: Post, join: Any, submit: Any) -> None:
    submit()
    worker, other = join(), join()
    claimed(post, worker)
    assert post("leave", worker=worker)["status"] == 200
    (task,) = claimed(post, other)
    assert task["attempt"] == 1
    assert post("beat", worker=worker)["type"] == "urn:journeyman:session-ended"


def test_revoked_task_is_missing_from_what_is_held(post: Post, join: Any, submit: Any, broker: jm.Broker) -> None:
    message = submit()
    worker = join()
    (task,) = claimed(post, worker)
    broker.revoke(message)
    wait_until(lambda: post("beat", worker=worker)["tasks"] == [], "the service to read of the revocation")
    assert post("complete", **mine(worker, task))["status"] == 409


def test_lapsed_task_is_not_handed_out(post: Post, join: Any, broker: jm.Broker, request: Any) -> None:
    message = jm.Message(request.node.name)
    broker.submit(message, ttl=1)
    assert claimed(post, join(), wait=0.5) == []
    assert status_of(broker, message) is jm.TaskStatus.FAILED


def test_lock_of_a_message_is_released_with_its_end(
    post: Post, join: Any, broker: jm.Broker, request: Any, url: str
) -> None:
    lock = jm.Lock(request.node.name, broker.journal)
    message = jm.Message(request.node.name)
    assert lock.acquire()
    message.link_lock(lock)
    broker.submit(message)
    worker = join()
    (task,) = claimed(post, worker)
    assert lock.holder is not None
    post("complete", **mine(worker, task))
    wait_until(lambda: lock.holder is None, "the lock to be released")


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("join", {}),
        ("join", {"tasks": []}),
        ("join", {"tasks": ["a"], "lease_ms": 1}),
        ("join", {"tasks": ["a"], "colour": "red"}),
        ("claim", {"worker": "w", "limit": 0}),
        ("claim", {"worker": "w", "wait": 1e9}),
        ("complete", {"worker": "w", "task": "t"}),
        ("fail", {"worker": "w", "task": "t", "claim": 1}),
    ],
)
def test_bad_body_is_refused_with_its_place(post: Post, what: str, body: dict[str, Any]) -> None:
    answer = post(what, **body)
    assert answer["status"] == 400
    assert answer["violations"]


def test_unknown_session_is_told_to_join_anew(post: Post) -> None:
    answer = post("claim", worker="unknown")
    assert (answer["status"], answer["type"]) == (410, "urn:journeyman:session-ended")
    assert "join anew" in answer["detail"]


def test_result_that_json_cannot_hold_is_refused(post: Post, join: Any, submit: Any, http: httpx2.Client) -> None:
    submit()
    worker = join()
    (task,) = claimed(post, worker)
    deep: Any = []
    for _ in range(900):
        deep = [deep]
    assert post("complete", **mine(worker, task), result=deep)["status"] == 400
    assert post("complete", **mine(worker, task), result="x" * (2 << 20))["status"] == 413
    assert post("complete", **mine(worker, task), result="fits")["accepted"]


def test_key_needs_the_scope_work(tmp_path: Path) -> None:
    keys = keyring("page read reader-key-0123456789")
    served = service_here(f"sqlite:///{tmp_path}/keyed.db", Settings(keyring=keys, port=0))
    with served as at, client(at, "reader-key-0123456789") as http:
        assert http.post("/workers/join", json={"tasks": ["a"]}).status_code == 403


# -- the examples ------------------------------------------------------------------------------------------------------


def test_example_in_curl_runs_tasks(address: str, broker: jm.Broker) -> None:
    messages = [jm.Message("add", args=(number, 1)) for number in range(3)]
    for message in messages:
        broker.submit(message)
    said = subprocess.run(
        [EXAMPLES / "worker.sh", address], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    assert said.count('"accepted":true') == 3
    assert [jm.ResultStore(broker.journal).get(each, timeout=5_000) for each in messages] == [1, 2, 3]


@pytest.mark.skipif(
    shutil.which("node") is None and not os.environ.get("CI"), reason="Node.js 18 or newer is missing: install nodejs"
)
def test_example_in_javascript_survives_a_kill(address: str, broker: jm.Broker) -> None:
    def start() -> "subprocess.Popen[str]":
        return subprocess.Popen(
            ["node", EXAMPLES / "worker.mjs", address], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    first, second = start(), start()
    try:
        messages = [jm.Message("resize", args=(f"image {number}",)) for number in range(20)]
        for message in messages:
            broker.submit(message)
        results = jm.ResultStore(broker.journal)
        results.get(messages[0], timeout=60_000, keep=True)
        first.send_signal(signal.SIGKILL)
        for message in messages:
            assert results.get(message, timeout=60_000, keep=True) == f"{message.args[0]}, smaller"
        second.send_signal(signal.SIGTERM)
        assert second.wait(60) == 0
    finally:
        for process in (first, second):
            process.kill()
            process.communicate()
