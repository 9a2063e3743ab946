"""Queues, workers, dead letters, locks and schedules over HTTP; the answers are those of the command line."""

import time
from collections.abc import Iterator
from typing import Any

import httpx2
import journeyman as jm
import pytest
from journeyman.service.tasks import summaries
from support.commands import printed_json
from support.served_tasks import Gate, worker_of
from support.service import client

Print = pytest.MonkeyPatch


@pytest.fixture(scope="module", autouse=True)
def gate(url: str, address: str) -> Iterator[Gate]:
    with worker_of(url) as held:
        yield held


def submit(http: httpx2.Client, name: str, *args: Any, **fields: Any) -> str:
    answer = http.post("/tasks", json={"task_name": name, "args": list(args), "max_retries": 0, **fields})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["task"])


def die(http: httpx2.Client, colour: str, **fields: Any) -> str:
    task = submit(http, "paint", colour, **fields)
    assert http.get(f"/tasks/{task}/result", params={"wait": 30}).status_code == 409
    return task


def listed(http: httpx2.Client, path: str, key: str, of: str, **filters: Any) -> list[str]:
    """What the pages of a list have in common, two items a page."""
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = http.get(path, params={"limit": 2, **filters, **cursor})
        assert answer.status_code == 200, answer.text
        found += [each[of] for each in answer.json()[key]]
        if answer.json()["next"] is None:
            return found
        cursor = {"cursor": answer.json()["next"]}


def test_queues_are_those_of_the_command(http: httpx2.Client, url: str, monkeypatch: Print) -> None:
    submit(http, "unheard", queue="mail")
    submit(http, "unheard", queue="mail", delay=60_000)
    (printed,) = printed_json(monkeypatch, "status", "--journal", url)
    answered = http.get("/queues").json()["queues"]
    untimed = [[{**line, "oldest_seconds": None} for line in lines] for lines in (answered, printed["queues"])]
    assert untimed[0] == untimed[1]
    mail = http.get("/queues/mail").json()
    assert (mail["ready"], mail["delayed"], mail["workers"]) == (1, 1, 1)
    assert listed(http, "/queues", "queues", "name") == [line["name"] for line in answered]
    assert http.get("/status").json().keys() == printed.keys()


def test_queue_of_a_task_just_submitted_is_counted(http: httpx2.Client) -> None:
    for count in range(1, 6):
        submit(http, "unheard", queue="counted")
        assert (
            next(line for line in http.get("/queues").json()["queues"] if line["name"] == "counted")["ready"] == count
        )


def test_queue_is_paused_and_resumed(http: httpx2.Client, url: str, monkeypatch: Print) -> None:
    submit(http, "unheard", queue="halted")
    (printed,) = printed_json(monkeypatch, "resume", "halted", "--journal", url)
    for paused, changed in ((True, True), (True, False), (False, True)):
        answer = http.post(f"/queues/halted/{'pause' if paused else 'resume'}", json={"reason": "flood"})
        assert answer.json() == {"queue": "halted", "paused": paused, "changed": changed}
        assert answer.json().keys() == printed.keys() - {"journal"}
        assert (http.get("/queues/halted").json()["paused_since"] is not None) is paused
    assert http.get("/queues/nowhere").status_code == 404


def test_queues_of_a_past_moment_are_told(http: httpx2.Client) -> None:
    first = submit(http, "unheard", queue="grown")
    at = http.get(f"/tasks/{first}").json()["submitted_at"]
    submit(http, "unheard", queue="grown")
    answer = http.get("/queues/grown", params={"as_of": at})
    assert answer.json()["ready"] == 1
    assert answer.headers["Journal-Cursor"] != http.get("/").headers["Journal-Cursor"]
    assert http.get("/queues/grown").json()["ready"] == 2
    past = http.get("/queues", params={"as_of": at}).json()
    assert past["as_of"] == at
    assert http.get("/queues", params={"as_of": time.time() + 60}).status_code == 400


def test_summary_is_made_anew_when_a_write_was_answered(address: str, monkeypatch: Print) -> None:
    monkeypatch.setattr(summaries, "SUMMARY_SECONDS", 3_600.0)
    monkeypatch.setattr(summaries, "SUMMARY_TIME_SHARE", 1e-9)  # so that it is kept while other processes write
    with client(address) as http:
        before = http.get("/queues")
        again = http.get("/queues")
        assert again.json() == before.json()
        submit(http, "unheard", queue="anew")
        assert "anew" in [line["name"] for line in http.get("/queues").json()["queues"]]


def test_workers_are_listed_with_what_they_hold(http: httpx2.Client, url: str, gate: Gate, monkeypatch: Print) -> None:
    gate.opened.clear()
    task = submit(http, "hold", 1)
    with http.stream("GET", f"/tasks/{task}/stream") as stream:
        assert any("RUNNING" in line for line in stream.iter_lines())
    (printed,) = printed_json(monkeypatch, "status", "--journal", url)
    lines = http.get("/workers").json()["workers"]
    assert [line.keys() for line in lines] == [line.keys() for line in printed["workers"]]
    shown = http.get(f"/workers/{lines[0]['worker'][-8:]}").json()
    assert (shown["worker"], [each["task"] for each in shown["holds"]]) == (lines[0]["worker"], [task])
    assert shown["last_sign"] is not None
    gate.opened.set()
    assert http.get("/workers/nothing").status_code == 404
    assert listed(http, "/workers", "workers", "worker") == [line["worker"] for line in lines]


def test_dead_letters_are_those_of_the_command(http: httpx2.Client, url: str, monkeypatch: Print) -> None:
    dead = [die(http, colour, queue="art", tags=["wet"]) for colour in ("red", "blue", "red")]
    printed = printed_json(monkeypatch, "dlq", "list", "--queue", "art", "--journal", url)
    assert http.get("/dead-letters", params={"queue": "art"}).json()["dead_letters"] == printed
    assert listed(http, "/dead-letters", "dead_letters", "id", queue="art") == dead[::-1]
    assert listed(http, "/dead-letters", "dead_letters", "id", queue="art", exception="RED") == [dead[2], dead[0]]
    assert listed(http, "/dead-letters", "dead_letters", "id", tag="wet") == dead[::-1]
    assert (
        listed(http, "/dead-letters", "dead_letters", "id", queue="art", until=printed[1]["failed_at"]) == dead[1::-1]
    )
    (shown,) = printed_json(monkeypatch, "dlq", "show", dead[0], "--journal", url)
    assert http.get(f"/dead-letters/{dead[0]}").json() == shown
    assert http.get(f"/dead-letters/{submit(http, 'unheard')}").status_code == 409
    assert http.get("/dead-letters/nothing").status_code == 404


def test_dead_letter_is_requeued_or_purged(http: httpx2.Client) -> None:
    task = die(http, "red", queue="one")
    assert http.post(f"/dead-letters/{task}/requeue").json()["disposition"] == "requeued"
    http.get(f"/tasks/{task}/result", params={"wait": 30})
    assert http.post(f"/dead-letters/{task}/purge", json={"reason": "old"}).json()["disposition"] == "purged"
    assert http.get("/dead-letters?queue=one").json()["dead_letters"] == []
    again = http.post(f"/dead-letters/{task}/requeue")
    assert (again.status_code, again.json()["disposition"]) == (409, "not_a_dead_letter")


def test_dead_letters_are_acted_on_by_a_filter(http: httpx2.Client) -> None:
    dead = [die(http, colour, queue="many") for colour in ("red", "blue", "green")]
    trial = http.post("/dead-letters/purge", json={"queue": "many", "dry_run": True}).json()
    assert (trial["would"], trial["tasks"], trial["more"]) == (dead, [], False)
    some = http.post("/dead-letters/purge", json={"queue": "many", "exception": "blue"}).json()
    assert [(each["task"], each["disposition"]) for each in some["tasks"]] == [(dead[1], "purged")]
    first = http.post("/dead-letters/requeue", json={"queue": "many", "limit": 1}).json()
    assert ([each["task"] for each in first["tasks"]], first["more"]) == ([dead[0]], True)
    named = http.post("/dead-letters/purge", json={"tasks": [dead[2], dead[1]]}).json()
    assert [each["disposition"] for each in named["tasks"]] == ["purged", "not_a_dead_letter"]
    http.get(f"/tasks/{dead[0]}/result", params={"wait": 30})
    http.post("/dead-letters/purge", json={"all": True})
    assert http.get("/dead-letters").json()["dead_letters"] == []


@pytest.mark.parametrize("body", [{}, {"all": True, "queue": "x"}, {"tasks": ["a"], "all": True}, {"colour": 1}])
def test_vague_choice_of_dead_letters_is_refused(http: httpx2.Client, body: dict[str, Any]) -> None:
    assert http.post("/dead-letters/requeue", json=body).status_code == 400


def test_locks_are_those_of_the_command(http: httpx2.Client, url: str, monkeypatch: Print) -> None:
    with jm.Journal(url) as journal, jm.Lock("report", journal, owner_id="desk") as lock:
        assert lock.acquire(wait=1)
        (printed,) = printed_json(monkeypatch, "lock", "list", "--journal", url)
        (line,) = http.get("/locks").json()["locks"]
        assert [finding["code"] for finding in line["findings"]] == ["held"]
        assert {**line, "findings": 0} == {**printed, "findings": 0}
        (shown,) = printed_json(monkeypatch, "lock", "show", "report", "--journal", url)
        answered = http.get("/locks/report").json()
        assert {**answered, "findings": 0, "renewals": 0} == {**shown, "findings": 0, "renewals": 0}
        token = line["requests"][0]["token"]
        trial = http.post("/locks/report/release", json={"dry_run": True}).json()["released"]
        assert [(each["token"], each["dry_run"]) for each in trial] == [(token, True)]
        assert http.post("/locks/report/release", json={"token": token + 1}).json()["released"] == []
        (done,) = http.post("/locks/report/release", json={"reason": "gone"}).json()["released"]
        assert (done["token"], done["owner"], done["released"]) == (token, "desk", True)
        assert http.get("/locks").json()["locks"] == []
    released = [step for step in http.get("/locks/report").json()["history"] if step["name"] == "lock.released"]
    assert (released[0]["context"]["by"], released[0]["context"]["reason"]) == ("local", "gone")
    assert http.get("/locks/nothing").status_code == 404


def test_schedules_are_those_of_the_command(http: httpx2.Client, url: str, monkeypatch: Print) -> None:
    with jm.Journal(url) as journal:
        broker = jm.Broker(journal)
        for name in ("nightly", "yearly"):
            task = jm.task(broker, name=name, trigger=jm.CronTrigger.from_crontab("0 3 1 1 *"))(lambda: None)
            task.generate()
    printed = printed_json(monkeypatch, "schedule", "list", "--journal", url)
    assert http.get("/schedules").json()["schedules"] == printed
    assert listed(http, "/schedules", "schedules", "schedule") == ["nightly", "yearly"]
    (shown,) = printed_json(monkeypatch, "schedule", "show", "nightly", "--journal", url)
    assert http.get("/schedules/nightly").json() == shown
    ticks = printed_json(monkeypatch, "schedule", "next", "3", "--schedule", "nightly", "--journal", url)
    assert http.get("/ticks", params={"schedule": "nightly", "count": 3}).json()["ticks"] == ticks
    assert len(http.get("/ticks?count=3").json()["ticks"]) == 3
    for act, done in (("pause", "paused"), ("resume", "resumed"), ("clear", "cleared")):
        trial = http.post(f"/schedules/nightly/{act}", json={"dry_run": True}).json()
        assert (trial["changed"], trial["done"], trial["dry_run"]) == (True, None, True)
        assert http.post(f"/schedules/nightly/{act}").json()["done"] == done
    for path in ("/schedules/nightly", "/ticks?schedule=nightly"):
        assert http.get(path).status_code == 404
    assert http.post("/schedules/nightly/pause").status_code == 404


def test_name_with_a_slash_is_one_name(http: httpx2.Client) -> None:
    submit(http, "unheard", queue="mail/eu")
    assert http.get("/queues/mail%2Feu").json()["name"] == "mail/eu"
    assert http.post("/queues/mail%2feu/pause").json()["queue"] == "mail/eu"
    assert http.get("/queues/mail/eu").status_code == 404
    task = submit(http, "unheard", uuid="order/7 a")
    assert http.get("/tasks/order%2F7%20a").json()["task"] == task


def test_problems_do_not_tell_where_the_journal_is(http: httpx2.Client, url: str) -> None:
    task = submit(http, "unheard", uuid="told")
    for answer in (
        http.post("/tasks", json={"task_name": "unheard", "uuid": task}),
        http.post("/tasks/nothing/retry"),
        http.get("/tasks/nothing/why"),
    ):
        assert answer.status_code in (404, 409)
        assert url.removeprefix("sqlite:///") not in answer.text
