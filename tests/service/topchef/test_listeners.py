"""Listeners: the original one and those that claim by a token, several at a time, killed in a job, over a restart."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import journeyman as jm
import pytest
from journeyman.service.topchef import listeners
from support.deployment import ROOT
from support.service import free_port, service_here, service_process
from support.topchef_original import OriginalListener, ask, must, new_job, new_service, square
from support.waiting import wait_until

LEASE_MS = 500


def claim(base: str, service: str, listener: str = "l", wait: float = 20, **more: Any) -> Any:
    body = {"listener": listener, "wait": wait, **more}
    return must(ask("POST", f"{base}/services/{service}/jobs/claim", body))["data"]


def change(base: str, job: Any, **body: Any) -> int:
    return ask("PATCH", f"{base}/jobs/{job['id']}", body, {"X-Claim-Token": str(job["token"])}).status


def status(base: str, job: str) -> str:
    return str(must(ask("GET", f"{base}/jobs/{job}"))["data"]["status"])


# -- claims ------------------------------------------------------------------------------------------------------------


def test_claim_is_one_listeners_and_named_by_its_token(base: str, service: str) -> None:
    jobs = [new_job(base, service, n) for n in range(2)]
    first, second = claim(base, service, "a"), claim(base, service, "b")
    assert [first["id"], second["id"]] == jobs
    assert (first["status"], first["parameters"]) == ("WORKING", {"n": 0})
    assert 0 < first["token"] < second["token"]
    assert first["lease_ms"] == 15_000
    assert claim(base, service, "c", wait=0) is None
    assert change(base, first, status="WORKING") == 200
    assert ask("PATCH", f"{base}/jobs/{jobs[0]}", {"status": "COMPLETED"}).status == 409, "without the token"
    assert change(base, first | {"token": second["token"]}, status="COMPLETED") == 409
    assert change(base, first, status="COMPLETED", results={"square": 0}) == 200
    assert change(base, first, status="COMPLETED", results={"square": 0}) == 200, "the repetition of a lost answer"
    assert change(base, first, status="COMPLETED", results={"square": 1}) == 409
    assert change(base, second, status="REGISTERED") == 200
    again = claim(base, service, "c")
    assert (again["id"], again["attempt"]) == (jobs[1], 1), "a job that is given back has used no attempt"
    assert again["token"] > second["token"]
    assert change(base, second, status="COMPLETED", results={"square": 1}) == 409


def test_claim_whose_answer_was_lost_is_handed_out_again(base: str, service: str) -> None:
    jobs = [new_job(base, service, n) for n in range(2)]
    first = claim(base, service)
    assert claim(base, service) == first
    assert claim(base, service, holding=[first["id"]])["id"] == jobs[1]


def test_claim_waits_for_a_job(base: str, service: str) -> None:
    found: list[Any] = []
    waiting = threading.Thread(target=lambda: found.append(claim(base, service)))
    waiting.start()
    job = new_job(base, service)
    waiting.join(60)
    assert [each["id"] for each in found] == [job]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"listener": ""},
        {"listener": "l", "wait": 21},
        {"listener": "l", "wait": "x"},
        {"listener": "l", "lease_ms": 1},
    ],
)
def test_claim_that_lacks_something_is_refused(base: str, service: str, body: Any) -> None:
    assert ask("POST", f"{base}/services/{service}/jobs/claim", body).status == 400


@pytest.mark.parametrize("token", ["x", "-1", "1.5", "9" * 40])
def test_token_that_is_no_number_is_refused(base: str, service: str, token: str) -> None:
    answer = ask("PATCH", f"{base}/jobs/{new_job(base, service)}", {}, {"X-Claim-Token": token})
    assert answer.status == 400


def test_job_of_a_token_is_left_out_of_the_original_queue(base: str, service: str) -> None:
    held, waiting = new_job(base, service), new_job(base, service)
    assert claim(base, service)["id"] == held
    assert [job["id"] for job in OriginalListener(base, service).queue()] == [waiting]


def test_service_of_that_name_and_schemas_is_one(base: str) -> None:
    body = {"name": "one of a kind", "description": "d", "job_registration_schema": {"type": "object"}}
    answers: list[Any] = []
    register = threading.Barrier(4)

    def ask_for_it() -> None:
        register.wait()
        answers.append(ask("POST", f"{base}/services", body, {"X-If-Exists": "return"}))

    threads = [threading.Thread(target=ask_for_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(answer.status for answer in answers) == [200, 200, 200, 201]
    assert len({answer.json["data"]["id"] for answer in answers}) == 1
    other = ask("POST", f"{base}/services", body | {"job_registration_schema": {}}, {"X-If-Exists": "return"})
    assert other.status == 201, "other schemas make another service"
    assert ask("POST", f"{base}/services", body).status == 201, "the original always makes a new one"
    assert ask("POST", f"{base}/services", body, {"X-If-Exists": "maybe"}).status == 400


# -- waiting -----------------------------------------------------------------------------------------------------------


def test_queue_answers_as_soon_as_a_job_comes(base: str, service: str) -> None:
    seen: list[Any] = []

    def listen() -> None:
        listener = OriginalListener(base, service)
        while not seen:
            seen.extend(listener.queue())

    listening = threading.Thread(target=listen)
    listening.start()
    job = new_job(base, service)
    listening.join(60)
    assert [each["id"] for each in seen] == [job]


def test_job_answers_when_it_has_ended(base: str, service: str) -> None:
    job = new_job(base, service)
    seen: list[Any] = []
    waiting = threading.Thread(target=lambda: seen.append(must(ask("GET", f"{base}/jobs/{job}?wait=60"))))
    waiting.start()
    OriginalListener(base, service).run_iteration(square)
    waiting.join(90)
    assert seen[0]["data"]["status"] == "COMPLETED"


# -- the queue behind it -----------------------------------------------------------------------------------------------


def test_job_is_a_task_for_every_tool(base: str, address: str, url: str, service: str) -> None:
    done, failed = new_job(base, service), new_job(base, service, 3)
    listener = OriginalListener(base, service)
    listener.run_iteration(square)
    assert must(ask("PATCH", f"{base}/jobs/{failed}", {"status": "ERROR", "error": "no luck"}))["status"] == "ERROR"
    with jm.Journal(url) as journal:
        assert jm.ResultStore(journal).get(done, keep=True) == {"square": 4}
        assert jm.StatusTracker(journal).get(done).status is jm.TaskStatus.SUCCEEDED
        with pytest.raises(jm.TaskFailedError, match="no luck"):
            jm.ResultStore(journal).get(failed)
        story = must(ask("GET", f"{address}/tasks/{done}/history"))["steps"]
        names = [step["name"] for step in story]
        assert names == ["task.submitted", "task.claimed", "task.noted", "task.succeeded"]
        assert ask("GET", f"{address}/tasks/{failed}/why").status == 200
        letters = must(ask("GET", f"{address}/dead-letters"))["dead_letters"]
        assert failed in {letter["id"] for letter in letters}
        jm.Broker(journal).requeue(failed)
    wait_until(lambda: status(base, failed) == "REGISTERED", "the dead letter to be a job again")
    assert must(ask("GET", f"{base}/jobs/{failed}"))["data"]["error"] is None


def test_worker_in_any_language_does_jobs(base: str, address: str, service: str) -> None:
    job, queue = new_job(base, service), f"topchef.{service}"
    worker = must(ask("POST", f"{address}/workers/join", {"tasks": [queue], "queues": [queue]}), 201)["worker"]
    (task,) = must(ask("POST", f"{address}/workers/claim", {"worker": worker, "wait": 20}))["tasks"]
    assert (task["task"], task["kwargs"]) == (job, {"parameters": {"n": 2}})
    report = {"worker": worker, "task": job, "claim": task["claim"], "result": {"square": 4}}
    must(ask("POST", f"{address}/workers/complete", report))
    shown = must(ask("GET", f"{base}/jobs/{job}"))["data"]
    assert (shown["status"], shown["results"]) == ("COMPLETED", {"square": 4})


def test_revoked_job_is_an_error(base: str, address: str, service: str) -> None:
    job = new_job(base, service)
    must(ask("POST", f"{address}/tasks/{job}/revoke"))
    shown = must(ask("GET", f"{base}/jobs/{job}"))["data"]
    assert (shown["status"], shown["error"]["name"]) == ("ERROR", "Revoked")


def test_paused_queue_hands_out_nothing(base: str, address: str, service: str) -> None:
    new_job(base, service)
    must(ask("POST", f"{address}/queues/topchef.{service}/pause"))
    assert must(ask("GET", f"{base}/services/{service}/queue?wait=0"))["data"] == []
    assert claim(base, service, wait=0) is None
    must(ask("POST", f"{address}/queues/topchef.{service}/resume"))
    assert claim(base, service) is not None


# -- those that die ----------------------------------------------------------------------------------------------------


@contextmanager
def listening_process(base: str, service: str) -> Iterator["subprocess.Popen[str]"]:
    """The original listener in a process of its own, which hangs in its first job."""
    process = subprocess.Popen(
        [sys.executable, "-m", "support.topchef_original", base, service, "hang"],
        cwd=ROOT / "tests",
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_job_of_a_killed_listener_is_taken_over(base: str, service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listeners, "TOPCHEF_SERVICE_LEASE_MS_MIN", LEASE_MS)
    must(ask("PATCH", f"{base}/services/{service}", {"timeout": 0}))
    job = new_job(base, service)
    with listening_process(base, service) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "works on 2\n"
        process.kill()
        wait_until(lambda: status(base, job) == "REGISTERED", "the lease to release the job", 60)
    OriginalListener(base, service).run_iteration(square)
    assert must(ask("GET", f"{base}/jobs/{job}"))["data"]["result"] == {"square": 4}


class Holder:
    """The session that holds a job."""

    def __init__(self, address: str, url: str, job: str) -> None:
        self._url = url
        self._worker = must(ask("GET", f"{address}/tasks/{job}"))["worker"]

    def _beats(self) -> int:
        count = 0
        with jm.Journal(self._url) as journal:
            consumer = jm.JournalConsumer(journal, "worker.beat", include_sentinel=True).start()
            while (event := consumer.poll(timeout=60)) is not None and not event.is_empty():
                count += event.context["worker"] == self._worker
            consumer.stop()
        return count

    def is_renewed_by(self, request: Callable[[], Any]) -> bool:
        """Whether a request renews its lease."""
        before = self._beats()
        request()
        return self._beats() > before


def test_requests_of_the_original_renew_its_lease(
    base: str, address: str, url: str, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "LEASE_RENEWAL_FRACTION", 0.0)  # each request counts
    listener, job = OriginalListener(base, service), new_job(base, service)
    listener.put(status="WORKING")
    holder = Holder(address, url, job)
    assert holder.is_renewed_by(listener.check_in)
    assert holder.is_renewed_by(listener.queue)
    monkeypatch.setattr(listeners, "TOPCHEF_JOB_SECONDS_MAX", -1.0)
    assert not holder.is_renewed_by(listener.check_in), "a check-in is no sign that it works"
    assert holder.is_renewed_by(listener.queue)
    assert holder.is_renewed_by(lambda: listener.put(result={"square": 4}))


def test_check_in_with_its_id_renews_the_lease_of_a_listener(
    base: str, address: str, url: str, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "TOPCHEF_CHECK_IN_SECONDS", 0.0)
    job = new_job(base, service)
    claim(base, service, "alive")
    holder = Holder(address, url, job)

    def check_in(listener: str) -> Any:
        return must(ask("PATCH", f"{base}/services/{service}", headers={"X-Listener": listener}))

    assert holder.is_renewed_by(lambda: check_in("alive"))
    assert not holder.is_renewed_by(lambda: check_in("another"))


def test_token_of_a_silent_listener_is_refused(base: str, service: str) -> None:
    new_job(base, service)
    lost = claim(base, service, "silent", lease_ms=LEASE_MS)
    taken = claim(base, service, "other")
    assert taken["id"] == lost["id"]
    assert taken["token"] > lost["token"]
    assert change(base, lost, status="COMPLETED", results={"square": 1}) == 409
    assert change(base, taken, status="COMPLETED", results={"square": 4}) == 200


def test_listener_that_kills_itself_each_time_ends_in_an_error(base: str, service: str) -> None:
    job = new_job(base, service)
    must(ask("POST", f"{base}/services/{service}/jobs/claim", {"listener": "first", "lease_ms": LEASE_MS}))
    for number in range(3):
        assert claim(base, service, f"another {number}", lease_ms=LEASE_MS)["id"] == job
    wait_until(lambda: status(base, job) == "ERROR", "the last attempt to be lost", 60)
    assert must(ask("GET", f"{base}/jobs/{job}"))["data"]["error"]["name"] == "ListenerLost"


# -- many, and over a restart ------------------------------------------------------------------------------------------


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Run `work` with each number in a thread of its own; its failures are raised here."""
    failures: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


def work_in_batches(address: str, queues: list[str]) -> None:
    """Do jobs as a worker in any language does, many at a time."""
    worker = must(ask("POST", f"{address}/workers/join", {"tasks": queues}), 201)["worker"]
    while tasks := must(ask("POST", f"{address}/workers/claim", {"worker": worker, "limit": 50}))["tasks"]:
        reports = [
            {
                "worker": worker,
                "task": task["task"],
                "claim": task["claim"],
                "result": square(task["kwargs"]["parameters"]),
            }
            for task in tasks
        ]
        must(ask("POST", f"{address}/workers/complete", reports))


def test_thousand_jobs_of_two_services_end_once(base: str, address: str) -> None:
    services = [new_service(base, name) for name in ("even", "odd")]
    queues = [f"topchef.{service}" for service in services]
    messages = [
        {"task_name": queues[n % 2], "queue": queues[n % 2], "kwargs": {"parameters": {"n": n}}} for n in range(1_000)
    ]
    jobs = must(ask("POST", f"{address}/tasks", messages), 201)["tasks"]

    def listen(number: int) -> None:
        if number == 0:
            work_in_batches(address, queues)
            return
        service = services[number % 2]
        while (job := claim(base, service, f"l{number}", wait=0)) is not None:
            assert change(base, job, status="COMPLETED", results=square(job["parameters"])) == 200

    in_threads(5, listen)
    for index, service in enumerate(services):
        shown = must(ask("GET", f"{base}/services/{service}/jobs"))["data"]
        assert [job["id"] for job in shown] == jobs[index::2], "in the order of submission"
        assert [job["results"]["square"] for job in shown] == [n**2 for n in range(index, 1_000, 2)]
        assert {(job["status"], job["attempt"]) for job in shown} == {("COMPLETED", 1)}


def test_everything_is_there_after_a_restart(tmp_path: Any) -> None:
    url, port = f"sqlite:///{tmp_path}/shop.db", free_port()
    with service_process(url, port=port) as served:
        base = f"{served.address}/topchef"
        service = new_service(base)
        jobs = [new_job(base, service, n) for n in range(3)]
        OriginalListener(base, service).run_iteration(square)
        OriginalListener(base, service).put(status="WORKING")
        held = claim(base, service, lease_ms=60_000)
        before = [must(ask("GET", f"{base}/{path}")) for path in (f"services/{service}", f"services/{service}/jobs")]
        served.process.kill()
    with service_process(url, port=port):
        assert [
            must(ask("GET", f"{base}/{path}")) for path in (f"services/{service}", f"services/{service}/jobs")
        ] == before
        assert [job["id"] for job in OriginalListener(base, service).queue()] == [jobs[1]]
        OriginalListener(base, service).put(result={"square": 1}, status="COMPLETED")
        assert change(base, held, status="COMPLETED", results={"square": 4}) == 200
        assert [job["status"] for job in must(ask("GET", f"{base}/jobs"))["data"]] == ["COMPLETED"] * 3


def test_two_processes_on_one_journal_see_the_same(base: str, url: str, service: str) -> None:
    job = new_job(base, service)
    with service_here(url) as other:
        twin = f"{other}/topchef"
        wait_until(lambda: status(twin, job) == "REGISTERED", "the other process to follow")
        held = claim(twin, service)
        assert held["id"] == job
        wait_until(lambda: status(base, job) == "WORKING", "this process to follow")
        assert change(base, held, status="COMPLETED", results={"square": 4}) == 200
        wait_until(lambda: status(twin, job) == "COMPLETED", "the other process to follow")
