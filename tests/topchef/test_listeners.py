"""Several listeners of one service: they share its jobs, take over from dead ones, and outlive their network."""

import asyncio
import logging
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from journeyman.journal.limits import EVENT_BYTES_MAX
from journeyman.service.settings import Settings
from journeyman.topchef import (
    AccessDeniedError,
    AsyncServiceListener,
    ClaimLostError,
    Client,
    Job,
    JobFailedError,
    NetworkError,
    ProcessingError,
    Service,
)
from journeyman.topchef.calls import service_jobs
from journeyman.topchef.listening import RENEWAL_FRACTION
from support.link import link_to
from support.service import keyring, service_here
from support.topchef_kitchen import DONE_SECONDS, PARAMETERS, AsyncSquares, Blocked, Squares, new_service
from support.waiting import wait_until

TESTS = Path(__file__).parents[1]
JOBS = 1_000
NUMBERS = range(100, 100 + JOBS)
LISTENERS = 4
SHORT_LEASE_MS = 1_000
LEASE_MS = 3_000


@contextmanager
def listener_process(base: str, service: str, name: str) -> Iterator["subprocess.Popen[str]"]:
    """A listener in a process of its own."""
    program = TESTS / "support" / "topchef_listener.py"
    process = subprocess.Popen(
        [sys.executable, str(program), base, service, str(LEASE_MS), name],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_job_of_a_killed_listener_is_run_by_another(ours: str) -> None:
    service = new_service(ours, "killed")
    with listener_process(ours, service.id, "first") as first:
        assert first.stdout is not None
        job = service.new_job({"n": 12, "hang": "first"})
        assert first.stdout.readline() == "began 12\n"
        with listener_process(ours, service.id, "second") as second:
            assert second.stdout is not None
            assert service.new_job({"n": 2}).wait(DONE_SECONDS) == {"square": 4}
            assert second.stdout.readline() == "began 2\n"
            assert job.status == "WORKING"
            first.kill()
            assert job.wait(DONE_SECONDS) == {"square": 144}
            assert second.stdout.readline() == "began 12\n"


def test_thousand_jobs_get_each_its_own_result(ours: str) -> None:
    service = new_service(ours, "thousand")
    ran: Counter[int] = Counter()

    class Counting(Squares):
        def run(self, parameters: dict[str, int]) -> dict[str, int]:
            ran[parameters["n"]] += 1
            return {"square": parameters["n"] ** 2}

    errors: list[Exception] = []
    with ExitStack() as stack, ThreadPoolExecutor(LISTENERS) as pool:
        for _ in range(LISTENERS):
            stack.enter_context(Counting(ours, service.id, on_error=errors.append))
        jobs = dict(pool.map(lambda n: (n, service.new_job({"n": n}).id), NUMBERS))
        wait_until(lambda: ran.total() >= JOBS, "all jobs to run", 2 * DONE_SECONDS)
    details = {line["id"]: line for line in Client(ours).transport.run(service_jobs(service.id))}
    assert {n: details[id_]["results"] for n, id_ in jobs.items()} == {n: {"square": n * n} for n in NUMBERS}
    assert {line["status"] for line in details.values()} == {"COMPLETED"}
    assert len(details) == JOBS
    assert ran == dict.fromkeys(NUMBERS, 1)
    assert not errors


def test_listener_outlives_a_silent_network(ours: str) -> None:
    service = new_service(ours, "silence")
    errors: list[Exception] = []
    with link_to(ours) as link:
        listener = Blocked(link.address, service.id, request_timeout=0.5, on_error=errors.append)
        with listener:
            job = service.new_job({"n": 3})
            assert listener.began.wait(DONE_SECONDS)
            link.fall_silent()
            listener.go.set()
            wait_until(lambda: errors, "the report to be in vain", DONE_SECONDS)
            assert job.status == "WORKING"
            link.mend()
            assert job.wait(DONE_SECONDS) == {"square": 9}
            link.cut()
            other = service.new_job({"n": 4})
            seen = len(errors)
            wait_until(lambda: len(errors) > seen, "a request to be refused", DONE_SECONDS)
            link.mend()
            assert other.wait(DONE_SECONDS) == {"square": 16}
    assert all(isinstance(error, NetworkError) for error in errors)


def test_outage_is_logged_once_and_says_what_to_do(ours: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="journeyman.topchef")
    service = new_service(ours, "outage")
    refused = "Connection refused"

    def said(level: int) -> list[logging.LogRecord]:
        return [record for record in caplog.records if record.levelno == level and service.id in record.getMessage()]

    def said_more(level: int, than: int) -> bool:
        return len(said(level)) > than

    with link_to(ours) as link, Squares(link.address, service.id) as listener:
        for number in (1, 2):
            link.cut()
            vain = len(said(logging.DEBUG))
            wait_until(partial(said_more, logging.DEBUG, vain + 2), "several requests to fail", DONE_SECONDS)
            lines = said(logging.WARNING)
            assert len(lines) == number
            assert f"is reached at {link.address}" in lines[-1].getMessage()
            assert lines[-1].exc_info is None
            assert any(record.exc_info and refused in str(record.exc_info[1]) for record in said(logging.DEBUG))
            link.mend()
            wait_until(partial(said_more, logging.INFO, number - 1), "the end of the outage", DONE_SECONDS)
        listener.stop()
    assert not said(logging.ERROR)


def test_lost_claim_is_logged_in_one_line(ours: str, caplog: pytest.LogCaptureFixture) -> None:
    service = new_service(ours, "lost")
    with link_to(ours) as link, Blocked(link.address, service.id, lease_ms=SHORT_LEASE_MS) as cut_off:
        job = service.new_job({"n": 5})
        assert cut_off.began.wait(DONE_SECONDS)
        link.cut()
        with Squares(ours, service.id):
            assert job.wait(DONE_SECONDS) == {"square": 25}
        cut_off.answer = {"square": 0}
        link.mend()
        cut_off.go.set()

        def lost() -> list[logging.LogRecord]:
            return [record for record in caplog.records if "has lost a job" in record.getMessage()]

        wait_until(lost, "the refusal", DONE_SECONDS)
        (record,) = lost()
        assert f"while processing the job {job.id}" in record.getMessage()
        assert "raise lease_ms" in record.getMessage()
        assert record.exc_info is None


def test_late_report_of_a_lost_claim_changes_nothing(ours: str) -> None:
    service = new_service(ours, "late")
    errors: list[Exception] = []
    with link_to(ours) as link:
        cut_off = Blocked(link.address, service.id, lease_ms=SHORT_LEASE_MS, on_error=errors.append)
        with cut_off:
            job = service.new_job({"n": 5})
            assert cut_off.began.wait(DONE_SECONDS)
            link.cut()
            with Squares(ours, service.id):
                assert job.wait(DONE_SECONDS) == {"square": 25}
            cut_off.answer = {"square": 0}
            details = job.job_details
            link.mend()
            cut_off.go.set()
            wait_until(lambda: any(isinstance(e, ClaimLostError) for e in errors), "the refusal", DONE_SECONDS)
            assert job.job_details == details
            cut_off.answer = None
            assert service.new_job({"n": 6}).wait(DONE_SECONDS) == {"square": 36}


def test_job_longer_than_its_lease_keeps_its_claim(ours: str) -> None:
    service = new_service(ours, "long")
    renewals: list[int] = []

    class Counting(requests.Session):
        def request(self, method: Any, url: Any, *arguments: Any, **options: Any) -> requests.Response:
            response = super().request(method, url, *arguments, **options)
            if "X-Listener" in options["headers"]:
                renewals.append(response.status_code)
            return response

    listener = Blocked(ours, service.id, http_library=Counting(), lease_ms=LEASE_MS).start(should_poll=False)
    job = service.new_job({"n": 7})
    assert listener.began.wait(DONE_SECONDS)
    wait_until(lambda: len(renewals) > 1 / RENEWAL_FRACTION, "more than the lease to be over", DONE_SECONDS)
    assert job.status == "WORKING"
    listener.go.set()
    assert job.wait(DONE_SECONDS) == {"square": 49}
    listener.stop()
    assert listener.join(DONE_SECONDS)
    assert set(renewals) == {200}


def test_stop_gives_back_what_was_claimed_meanwhile(ours: str) -> None:
    service = new_service(ours, "stopped")
    listener = Squares(ours, service.id)
    job = service.new_job({"n": 8})
    listener.stop()
    assert not listener.run_iteration()
    assert job.status == "REGISTERED"
    with Squares(ours, service.id):
        assert job.wait(DONE_SECONDS) == {"square": 64}


@pytest.mark.anyio
async def test_cancelled_coroutine_gives_its_job_back(ours: str) -> None:
    service = new_service(ours, "cancelled")
    began = asyncio.Event()

    class Endless(AsyncSquares):
        async def run(self, parameters: Any) -> Any:
            began.set()
            await asyncio.Event().wait()

    job = service.new_job({"n": 9})
    listener, other = Endless(ours, service.id), AsyncSquares(ours, service.id)
    task = asyncio.create_task(listener.run_iteration())
    await asyncio.wait_for(began.wait(), DONE_SECONDS)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert job.status == "REGISTERED"
    assert await other.run_iteration()
    assert job.result == {"square": 81}
    await listener.close()
    await other.close()


@pytest.mark.anyio
async def test_coroutine_that_cancels_itself_fails_its_job(ours: str) -> None:
    service = new_service(ours, "self-cancelled")

    class Cancelled(AsyncSquares):
        async def run(self, parameters: Any) -> Any:
            raise asyncio.CancelledError

    job = service.new_job({"n": 9})
    listener = Cancelled(ours, service.id)
    with pytest.raises(ProcessingError, match="cancelled itself"):
        await listener.run_iteration()
    assert job.status == "ERROR"
    await listener.close()


def test_result_beyond_the_limit_of_an_event_fails_its_job(ours: str) -> None:
    service = Client(ours).new_service("large", "", PARAMETERS)

    class Large(Squares):
        def run(self, parameters: Any) -> Any:
            return {"text": "x" * 2 * EVENT_BYTES_MAX}

    job = service.new_job({"n": 1})
    with pytest.raises(ProcessingError, match="refused"):
        Large(ours, service.id).run_iteration()
    assert job.status == "ERROR"
    with pytest.raises(JobFailedError):
        job.wait(0)


def test_client_without_httpx2_wants_another_library(ours: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx2", None)
    with pytest.raises(ImportError, match=r"journeyman\[http\]"):
        Client(ours)
    service = Client(ours, requests).new_service("without", "", PARAMETERS)
    assert service.does_service_exist


def test_plain_function_runs_in_a_thread_of_a_loop(ours: str) -> None:
    service = new_service(ours, "plain")

    class Plain(AsyncServiceListener):
        def run(self, parameters: Any) -> Any:
            return {"square": 0 if threading.current_thread() is threading.main_thread() else parameters["n"] ** 2}

    async def run_one() -> bool:
        listener = Plain(ours, service.id)
        try:
            return await listener.run_iteration()
        finally:
            await listener.close()

    job = service.new_job({"n": 10})
    assert asyncio.run(run_one())
    assert job.result == {"square": 100}


def test_url_with_a_password_is_not_shown() -> None:
    client = Client("http://cook:salt@127.0.0.1:1/topchef")
    with pytest.raises(NetworkError) as caught:
        client.services.keys()
    shown = f"{client!r} {client.services!r} {caught.value!r} {Job(client.url, 'j')!r} {Service('s', client.url)!r}"
    assert "salt" not in shown
    assert "127.0.0.1:1/topchef/services" in shown


def test_error_that_on_error_raises_ends_the_listener(ours: str) -> None:
    service = new_service(ours, "fatal")

    class Strict(Squares):
        def on_error(self, error: Exception) -> None:
            raise error

    service.new_job({"n": -1})
    listener = Strict(ours, service.id).start()
    with pytest.raises(ArithmeticError, match="-1 is negative"):
        listener.join(DONE_SECONDS)


def test_key_is_a_parameter_or_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(port=0, keyring=keyring("cook read,submit,work secret-of-the-cook-who-cooks"))
    with service_here(f"sqlite:///{tmp_path}/keys.db", settings) as address:
        base = f"{address}/topchef"
        with pytest.raises(AccessDeniedError):
            Client(base).services.keys()
        listener = Squares.new_service(base, "keyed", "", PARAMETERS, api_key="secret-of-the-cook-who-cooks")
        monkeypatch.setenv("TOPCHEF_API_KEY", "secret-of-the-cook-who-cooks")
        job = Client(base).services[listener.id].new_job({"n": 9}, validator_factory=None)
        assert listener.run_iteration()
        assert job.result == {"square": 81}
        monkeypatch.setenv("TOPCHEF_API_KEY", "wrong")
        stranger = Squares(base, listener.id).start()
        with pytest.raises(AccessDeniedError) as caught:
            stranger.join(DONE_SECONDS)
        assert "wrong" not in str(caught.value)
