"""The client at each server: the originals of both dialects, and ours."""

import uuid
from typing import Any

import pytest
import requests
from journeyman.topchef import (
    AsyncClient,
    Client,
    Job,
    JobFailedError,
    JobNotFoundError,
    NetworkError,
    ProcessingError,
    Service,
    ServiceListener,
    ServiceNotFoundError,
    ValidationError,
    Validator,
)
from support.topchef_kitchen import DONE_SECONDS, PARAMETERS, RESULT, AsyncSquares, Squares, new_service
from support.waiting import wait_until


@pytest.fixture
def service(base: str) -> Service:
    return new_service(base)


def test_services_are_a_mapping_by_id(base: str, service: Service) -> None:
    services = Client(base).services
    assert services[service.id] == service == services[uuid.UUID(service.id)]
    assert service in list(services)
    assert service.id in services
    assert len(services) == len(list(services)) == len(services.keys())
    assert dict(services.items())[service.id] == service
    unknown = uuid.uuid4()
    assert unknown not in services
    assert services.get(unknown) is None
    with pytest.raises(ServiceNotFoundError) as caught:
        services[unknown]
    assert isinstance(caught.value, KeyError | NetworkError)


def test_service_tells_its_name_and_schemas(service: Service) -> None:
    assert service.does_service_exist
    assert service.name == "squares"
    assert not service.has_timed_out
    assert service.job_registration_schema == PARAMETERS
    assert service.job_result_schema == RESULT


def test_job_goes_from_registered_to_its_result(base: str, service: Service) -> None:
    job = service.new_job({"n": 7})
    assert (job.status, job.is_complete, job.has_ended) == ("REGISTERED", False, False)
    assert not job.result
    listener = Squares(base, service.id)
    assert [listener.is_queue_empty, listener.run_iteration()] == [False, True]
    assert (job.status, job.is_complete, job.has_ended) == ("COMPLETED", True, True)
    assert job.result == job.wait(0) == {"square": 49}
    assert service.jobs == list(service) == [job]
    assert [listener.is_queue_empty, listener.run_iteration()] == [True, False]


def test_job_refuses_parameters_that_do_not_fit(base: str, service: Service) -> None:
    with pytest.raises(ProcessingError) as caught:
        service.new_job({"n": "seven"})
    assert isinstance(caught.value, ValidationError)
    assert "integer" in str(caught.value)
    assert caught.value.context
    with pytest.raises(ProcessingError):
        service.new_job({"n": "seven"}, Validator)
    assert service.new_job({"n": 1}, validator_factory=Validator).status == "REGISTERED"
    assert len(service.jobs) == 1


def test_unknown_job_is_said(base: str) -> None:
    with pytest.raises(JobNotFoundError):
        Job(base, uuid.uuid4()).status  # noqa: B018 the property asks


def test_job_details_are_written_as_the_original_does(service: Service) -> None:
    job = service.new_job({"n": 3})
    job.job_details = {**job.job_details, "status": "WORKING"}
    assert job.status == "WORKING"
    job.result = {"square": 9}
    assert job.result == {"square": 9}
    job.job_details = {**job.job_details, "status": "COMPLETED"}
    assert job.wait(DONE_SECONDS) == {"square": 9}


def test_listener_of_the_original_writes_through_current_job(base: str, service: Service) -> None:
    job = service.new_job({"n": 5})
    listener = Squares(base, service.id)
    current = listener.current_job
    assert (current.id, current["parameters"]) == (job.id, {"n": 5})
    current.status = "WORKING"
    current.result = {"square": 25}
    current.status = "COMPLETED"
    assert job.result == {"square": 25}
    with pytest.raises(ValueError, match="REGISTERED"):
        current.status = "EATEN"
    with pytest.raises(IndexError):
        listener.current_job  # noqa: B018 the property asks


def test_listener_says_error_and_raises_it(base: str, service: Service, request: pytest.FixtureRequest) -> None:
    job = service.new_job({"n": -2})
    with pytest.raises(ArithmeticError, match="-2 is negative") as caught:
        Squares(base, service.id).run_iteration()
    notes = " ".join(caught.value.__notes__)
    assert job.id in notes
    if "v1" in request.node.callspec.id:  # it has no such status
        assert job.status == "WORKING"
        assert "does not take the status ERROR" in notes
        return
    assert job.status == "ERROR"
    with pytest.raises(JobFailedError, match=job.id):
        job.wait(0)


def test_listener_refuses_a_result_that_does_not_fit(base: str, service: Service) -> None:
    job = service.new_job({"n": 13})
    with pytest.raises(ProcessingError, match="integer"):
        Squares(base, service.id).run_iteration()
    assert not job.is_complete
    assert not job.result


def test_listener_tells_whether_its_server_is_there(base: str, service: Service) -> None:
    listener = Squares(base, service.id)
    assert listener.is_server_alive
    assert (listener.job_registration_schema, listener.job_result_schema) == (PARAMETERS, RESULT)
    listener.validate_schema({"n": 1}, PARAMETERS)
    with pytest.raises(ValidationError):
        listener.validate_schema({"n": "1"}, PARAMETERS)
    ServiceListener.check_in_to_server(base, service.id)
    with pytest.raises(NetworkError):
        ServiceListener.check_in_to_server(base, str(uuid.uuid4()))


def test_validator_asks_the_server_or_what_is_given(base: str) -> None:
    validator = Validator(base)
    assert validator.assert_instance_matches_schema({"n": 1}, PARAMETERS)
    with pytest.raises(ProcessingError):
        validator.assert_instance_matches_schema({}, PARAMETERS)
    remote = Validator.RemoteSchemaValidator(base)
    assert remote.does_instance_match_schema({"n": 1}, PARAMETERS)
    assert not remote.does_instance_match_schema({"n": ""}, PARAMETERS)

    class Strict(Validator.AbstractValidator):
        def does_instance_match_schema(self, instance: Any, schema: Any) -> bool:
            return False

    with pytest.raises(ProcessingError):
        validator.assert_instance_matches_schema({"n": 1}, PARAMETERS, Strict())


def test_new_service_twice_is_one_if_asked(base: str) -> None:
    name = f"twice-{uuid.uuid4()}"
    first, second = (Squares.new_service(base, name, "", PARAMETERS, RESULT, if_exists="return") for _ in range(2))
    assert first.id == second.id
    assert Squares.new_service(base, name, "", PARAMETERS, RESULT).id != first.id
    assert Squares.new_service(base, name, "", PARAMETERS, if_exists="return").id != first.id
    with pytest.raises(ValueError, match="if_exists"):
        Squares.new_service(base, name, "", PARAMETERS, if_exists="replace")


def test_started_listener_runs_jobs_and_stops(base: str, service: Service) -> None:
    errors: list[Exception] = []
    jobs = [service.new_job({"n": n}) for n in (2, -1, 3)]
    with Squares(base, service.id, on_error=errors.append) as listener:
        assert jobs[0].wait(DONE_SECONDS) == {"square": 4}
        assert jobs[2].wait(DONE_SECONDS) == {"square": 9}
        assert service.new_job({"n": 4}).wait(DONE_SECONDS) == {"square": 16}
        assert listener.join(0) is False
    assert listener.join(0) is True
    assert [str(error) for error in errors] == ["-1 is negative"]


def test_two_listeners_never_mix_results(base: str, service: Service) -> None:
    jobs = [(n, service.new_job({"n": n})) for n in range(20, 35)]
    errors: list[Exception] = []
    with Squares(base, service.id, on_error=errors.append), Squares(base, service.id, on_error=errors.append):
        assert [(n, job.wait(DONE_SECONDS)) for n, job in jobs] == [(n, {"square": n * n}) for n, _ in jobs]
    assert not errors


def test_listener_ends_if_there_is_no_such_service(base: str) -> None:
    listener = Squares(base, str(uuid.uuid4())).start()
    with pytest.raises(ServiceNotFoundError):
        listener.join(DONE_SECONDS)
    wait_until(lambda: not listener.is_running, "both threads to end")


def test_injected_library_sends_every_request(base: str) -> None:
    client = Client(base, requests)
    assert client.http_library is requests
    listener = Squares.new_service(base, "by requests", "", PARAMETERS, RESULT, http_library=requests)
    job = client.services[listener.id].new_job({"n": 6})
    assert listener.run_iteration()
    assert job.result == {"square": 36}


@pytest.mark.anyio
async def test_asynchronous_client_and_listener_do_the_same(base: str) -> None:
    async with AsyncClient(base) as client:
        service = await client.new_service("async squares", "", PARAMETERS, RESULT)
        assert (await client.services.get(service.id)).id == service.id
        assert await client.services.count() == len([each async for each in client.services])
        assert not await client.services.has(uuid.uuid4())
        with pytest.raises(ServiceNotFoundError):
            await client.services.get(uuid.uuid4())
        with pytest.raises(ProcessingError):
            await service.new_job({"n": None})
        with pytest.raises(ProcessingError):
            await client.validator.assert_instance_matches_schema({}, PARAMETERS)
        errors: list[Exception] = []
        jobs = [await service.new_job({"n": n}) for n in (4, -4, 5)]
        async with AsyncSquares(base, service.id, on_error=errors.append):
            assert await jobs[0].wait(DONE_SECONDS) == {"square": 16}
            assert await jobs[2].wait(DONE_SECONDS) == {"square": 25}
        assert [str(error) for error in errors] == ["-4 is negative"]
        assert [job.id async for job in service] == [job.id for job in jobs]
        assert await jobs[2].is_complete()
        with pytest.raises(TimeoutError):
            await (await service.new_job({"n": 1})).wait(0.01)
