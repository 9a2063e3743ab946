"""What one key may use: requests and bytes a second, and requests in progress."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import journeyman as jm
import pytest
from hypothesis import given
from hypothesis import strategies as st
from journeyman.service.keys import Allowance, Caller, Keyring, Scope
from journeyman.service.limits import BURST_SECONDS
from journeyman.service.problems import Problem
from journeyman.service.quotas import Quotas, TokenBucket, Usage
from journeyman.service.settings import Settings
from support.service import client, keyring, service_here
from support.waiting import wait_until

FEW = "few-requests-0123456789"
ONE = "one-stream-0123456789"
OTHER = "unlimited-0123456789"


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 50)), max_size=50), st.floats(0.5, 100))
def test_bucket_never_gives_more_than_its_rate(steps: list[tuple[float, float]], rate: float) -> None:
    bucket, now, used = TokenBucket(rate), 0.0, 0.0
    for passed, units in steps:
        now += passed
        if bucket.take(units, now) == 0:
            used += units
        else:
            bucket.give_back(units)
        assert used <= rate * (BURST_SECONDS + now) * (1 + 1e-9) + 1e-6


def test_waiting_as_told_suffices() -> None:
    bucket = TokenBucket(10.0)
    assert bucket.take(10 * BURST_SECONDS, 0.0) == 0.0
    wait = bucket.take(5, 0.0)
    assert wait == pytest.approx(0.5)
    assert bucket.take(0, wait) == pytest.approx(0.0)


def test_requests_in_progress_are_bounded_and_given_back() -> None:
    usage = Usage(Allowance(streams=1))
    with usage.request(), pytest.raises(Problem, match="in progress"), usage.request():
        pass
    with usage.request():
        pass


def test_usage_is_kept_by_the_owner_of_the_key() -> None:
    quotas, caller = Quotas(), Caller("shop", frozenset({Scope.READ}), Allowance())
    assert quotas.of(caller) is quotas.of(Caller("shop", frozenset({Scope.READ}), Allowance()))
    assert quotas.of(Caller("local", frozenset(Scope))) is None


def test_limits_of_a_key_stand_behind_it() -> None:
    caller = Keyring([f"shop read {FEW} requests=5 streams=2 bytes=1000"]).caller(FEW)
    assert caller is not None
    assert caller.allowed == Allowance(5, 2, 1_000)


@pytest.fixture(scope="module")
def address(url: str) -> Iterator[str]:
    ring = keyring(f"few read {FEW} requests=1", f"one work {ONE} streams=1", f"other admin {OTHER}")
    with service_here(url, Settings(keyring=ring, port=0)) as at:
        yield at


def test_too_many_requests_are_told_when_to_come_again(address: str) -> None:
    with client(address, FEW) as http:
        answers = [http.get("/") for _ in range(20)]
        refused = [each for each in answers if each.status_code == 429]
        assert refused
        assert int(refused[0].headers["Retry-After"]) >= 1
        assert refused[0].json()["type"] == "urn:journeyman:too-many-requests"
    with client(address, OTHER) as http:
        assert http.get("/").status_code == 200


def test_second_stream_of_a_key_waits_for_the_first(address: str, url: str) -> None:
    with client(address, ONE) as first, client(address, ONE) as second, ThreadPoolExecutor(1) as pool:
        worker = first.post("/workers/join", json={"tasks": ["a"]}).json()["worker"]
        waiting = pool.submit(first.post, "/workers/claim", json={"worker": worker, "wait": 60})
        body = {"worker": worker}

        def refused() -> httpx2.Response | None:
            answer = second.post("/workers/beat", json=body)
            return answer if answer.status_code == 429 else None

        wait_until(refused, "the claim to be in progress")
        with jm.Journal(url) as journal:
            jm.Broker(journal).submit(jm.Message("a"))
        assert waiting.result().status_code == 200
        assert second.post("/workers/beat", json=body).status_code == 200
