"""`journeyman lock`: list, show and release, as an operator uses them."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

import journeyman as jm
import pytest
from journeyman.journal.event import Draft, encode_context
from journeyman.tasks.state import names

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def told(url: str, *events: tuple[str, dict[str, Any]]) -> None:
    """Append events of the lock `door`, as a program of long ago did."""
    with jm.Journal(url) as journal:
        for name, context in events:
            said = {"lock": "door", **context}
            journal.append_drafts([Draft(name, encode_context(name, said), "door", timestamp=1_000_000.0)])


def requested(owner: str, **context: Any) -> tuple[str, dict[str, Any]]:
    return names.LOCK_REQUESTED, {"owner": owner, "lease_ms": 15_000, "host": "shed", "pid": 7, **context}


def test_list_shows_holders_and_waiting_requests(call: Run, url: str) -> None:
    told(url, requested("ada"), requested("bob"), requested("cyd"))
    with jm.Journal(url) as journal, jm.Semaphore("press", journal, 2) as press:
        assert press.acquire()
        shown = call("lock", "list", "--journal", url).stdout.splitlines()
        assert [line.split()[:5] for line in shown[1:]] == [
            ["door", "1", "of", "1", "2"],
            ["press", "1", "of", "2", "0"],
        ]
        assert "ada on shed (pid 7) (silent)" in shown[1]
        assert "silent" not in shown[2]
        lines = [json.loads(line) for line in call("lock", "list", "--json", "--journal", url).stdout.splitlines()]
        assert [(line["lock"], line["held"], len(line["requests"])) for line in lines] == [
            ("door", 1, 3),
            ("press", 1, 1),
        ]


def test_list_of_no_locks_says_so(call: Run, url: str) -> None:
    told(url, requested("ada"), (names.LOCK_RELEASED, {"token": 0}))
    assert "no lock is held in" in call("lock", "list", "--journal", url).stdout
    assert call("lock", "list", "--json", "--journal", url).stdout == ""


def test_show_explains_and_prints_the_history(call: Run, url: str) -> None:
    told(
        url,
        requested("ada", ttl_ms=1_000),
        requested("bob"),
        (names.LOCK_RENEWED, {"token": 0}),
        (names.LOCK_EXPIRED, {"token": 0, "last": 0}),
        (names.LOCK_EXPIRED, {"token": 0, "last": 2, "reason": "silent"}),
        (names.LOCK_RELEASED, {"token": 0}),
        requested("cyd"),
    )
    shown = call("lock", "show", "door", "--journal", url)
    assert shown.returncode == 0
    assert "bob on shed (pid 7) holds it for" in shown.stdout
    assert "with the token 1" in shown.stdout
    assert "bob on shed (pid 7) is silent for" in shown.stdout
    assert "`journeyman lock release door` does so at once" in shown.stdout
    assert "1 request waits for it; the next is that of cyd" in shown.stdout
    assert "granted at once, token 0" in shown.stdout
    assert "refused: its owner had shown a sign of life since, at 2" in shown.stdout
    assert "(silent); granted to bob" in shown.stdout
    assert "refused: no request of the token 0 was live" in shown.stdout
    assert "and 1 renewal of leases" in shown.stdout
    limited = call("lock", "show", "door", "--limit", "2", "--journal", url).stdout
    assert "4 older events left out" in limited
    said = json.loads(call("lock", "show", "door", "--json", "--journal", url).stdout)
    assert [finding["code"] for finding in said["findings"]] == ["held", "silent", "silent", "waiting"]
    assert [step["verdict"] for step in said["history"]] == [
        "accepted",
        "accepted",
        "refused",
        "accepted",
        "refused",
        "accepted",
    ]
    assert said["history"][3]["granted"] == ["bob"]


def test_show_of_an_unknown_lock_fails(call: Run, url: str) -> None:
    told(url, requested("ada"))
    shown = call("lock", "show", "gate", "--journal", url)
    assert (shown.returncode, shown.stdout) == (1, "")
    assert "knows no lock 'gate'" in shown.stderr


def test_show_as_of_a_moment_ends_the_history_there(call: Run, url: str) -> None:
    with jm.Journal(url) as journal:
        lock = jm.Lock("door", journal, owner_id="ada")
        assert lock.acquire()
        between = journal.read().events[-1].timestamp
        lock.release()
    now = json.loads(call("lock", "show", "door", "--json", "--journal", url).stdout)
    then = json.loads(call("lock", "show", "door", "--json", "--as-of", repr(between), "--journal", url).stdout)
    assert ([each["code"] for each in now["findings"]], len(now["history"])) == (["free"], 2)
    assert ([each["code"] for each in then["findings"]], len(then["history"])) == (["held"], 1)


def test_release_grants_the_next_and_is_signed(call: Run, url: str) -> None:
    told(url, requested("ada"), requested("bob"))
    dry = call("lock", "release", "door", "--dry-run", "--journal", url)
    assert (dry.returncode, dry.stdout) == (0, "lock door, held by ada on shed (pid 7): would be released\n")
    refused = call("lock", "release", "door", "--journal", url)
    assert refused.returncode == 2
    assert "Say --yes" in refused.stderr
    done = call("lock", "release", "door", "--yes", "--reason", "gone", "--json", "--journal", url)
    said = json.loads(done.stdout)
    assert (done.returncode, said["token"], said["owner"], said["released"]) == (0, 0, "ada", True)
    history = json.loads(call("lock", "show", "door", "--json", "--journal", url).stdout)["history"]
    assert history[-1]["granted"] == ["bob"]
    assert history[-1]["context"]["reason"] == "gone"
    assert "@" in history[-1]["context"]["by"]


@pytest.mark.parametrize("token", [[], ["--token", "7"]])
def test_release_of_a_lock_that_is_not_held_fails(call: Run, url: str, token: list[str]) -> None:
    told(url, requested("ada"), (names.LOCK_RELEASED, {"token": 0}))
    done = call("lock", "release", "door", "--yes", *token, "--journal", url)
    assert done.returncode == 1
    assert "the lock door is not held" in done.stdout


def test_release_of_one_token_leaves_the_others(call: Run, url: str) -> None:
    told(url, requested("ada", capacity=2), requested("bob", capacity=2))
    assert call("lock", "release", "door", "--token", "1", "--yes", "--journal", url).returncode == 0
    left = json.loads(call("lock", "list", "--json", "--journal", url).stdout)
    assert [each["owner"] for each in left["requests"]] == ["ada"]


def test_task_and_its_linked_lock_name_each_other(call: Run, url: str) -> None:
    def codes() -> dict[str, str]:
        answer = json.loads(call("why", message.uuid, "--json", "--journal", url).stdout)
        return {each["code"]: each["sentence"] for each in answer["findings"]}

    with jm.Journal(url) as journal:
        broker, lock = jm.Broker(journal), jm.Lock("the door", journal, owner_id="ada")
        assert lock.acquire()
        message = jm.Message("paint").link_lock(lock)
        broker.submit(message)
        assert "`journeyman lock show 'the door'` shows who waits" in codes()["lock_held"]
        assert "with the lock the door" in call("history", message.uuid, "--journal", url).stdout
        journal.append(names.JOINED, {"worker": "w", "lease_ms": 60_000})
        journal.append(names.CLAIMED, {"task": message.uuid, "worker": "w"}, message.uuid)
        broker.revoke(message)
        assert "`journeyman lock release 'the door'` does so at once" in codes()["lock_left"]
        assert lock.release()
        assert not [code for code in codes() if code.startswith("lock")]


def test_lock_that_a_waiting_task_has_lost_is_named(call: Run, url: str) -> None:
    with jm.Journal(url) as journal:
        lock = jm.Lock("door", journal, owner_id="ada")
        assert lock.acquire()
        message = jm.Message("paint").link_lock(lock)
        jm.Broker(journal).submit(message)
        assert lock.release()
        assert jm.Lock("door", journal, owner_id="ada").acquire(), "of another token"
    answer = json.loads(call("why", message.uuid, "--json", "--journal", url).stdout)
    assert "lock_lost" in [each["code"] for each in answer["findings"]]


def test_show_names_the_task_that_released_the_lock(call: Run, url: str) -> None:
    with jm.Journal(url) as journal:
        lock = jm.Lock("door", journal, owner_id="ada")
        assert lock.acquire()
        message = jm.Message("paint").link_lock(lock)
        jm.Broker(journal).submit(message)
        jm.Broker(journal).revoke(message)
    assert f"the task {message.uuid} has ended" in call("lock", "show", "door", "--journal", url).stdout
