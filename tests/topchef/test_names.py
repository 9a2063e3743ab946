"""Every name, and the order of parameters, of the original client's page."""

import inspect
from typing import Any

import pytest
from journeyman import topchef
from journeyman.topchef.service_listener import _Job

GETTER = topchef.Client._TopChefServicesGetter
REMOTE = topchef.Validator.RemoteSchemaValidator


@pytest.mark.parametrize(
    ("owner", "names"),
    [
        (topchef.Client, "AbstractServicesGetter _TopChefServicesGetter http_library services services_url"),
        (GETTER, "_data_from_services_request _handle_nonexistent_service _http_library _services_url"),
        (GETTER, "content_type_header __getitem__ __iter__"),
        (topchef.Job, "job_details status result is_complete job_details_endpoint"),
        (topchef.Service, "_handle_http_error _handle_job_not_created_error does_service_exist new_job"),
        (topchef.Service, "job_registration_schema new_job_endpoint"),
        (topchef.Validator, "AbstractValidator RemoteSchemaValidator assert_instance_matches_schema"),
        (REMOTE, "_analyze_validation_response _get_request_body _validator_endpoint does_instance_match_schema"),
        (topchef.ServiceListener, "_first_job_id_in_queue _json_get _polling_loop _processing_loop _service_details"),
        (
            topchef.ServiceListener,
            "check_in_to_server current_job is_queue_empty is_server_alive start validate_schema",
        ),
        (topchef.ServiceListener, "job_registration_schema job_result_schema new_service run run_iteration"),
        (_Job, "__getitem__ _update result status id"),
    ],
)
def test_class_has_the_members_of_the_original(owner: Any, names: str) -> None:
    assert [name for name in names.split() if not hasattr(owner, name)] == []


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (topchef.Client, "url http_library"),
        (GETTER, "client"),
        (topchef.Job, "topchef_url job_id http_library"),
        (topchef.Service, "service_id topchef_url http_library"),
        (topchef.Validator, "topchef_url http_library"),
        (REMOTE, "topchef_url http_library"),
        (topchef.ServiceListener, "address service_id timeout"),
        (_Job, "address job_dict"),
        (topchef.Service.new_job, "self parameters validator_factory"),
        (topchef.Validator.assert_instance_matches_schema, "self instance schema validator"),
        (topchef.ServiceListener.check_in_to_server, "address service_id"),
        (topchef.ServiceListener.start, "self should_poll"),
        (topchef.ServiceListener.run, "self parameters"),
        (
            topchef.ServiceListener.new_service,
            "address name description job_registration_schema job_result_schema",
        ),
    ],
)
def test_parameters_have_the_names_and_order_of_the_original(function: Any, parameters: str) -> None:
    assert list(inspect.signature(function).parameters)[: len(parameters.split())] == parameters.split()


@pytest.mark.parametrize(
    ("error", "bases"),
    [
        (topchef.NetworkError, (IOError, RuntimeError)),
        (topchef.ValidationError, (ValueError,)),
        (topchef.ProcessingError, (RuntimeError,)),
        (topchef.ServiceNotFoundError, (KeyError, topchef.NetworkError)),
    ],
)
def test_errors_have_the_bases_of_the_original(error: type[Exception], bases: tuple[type[Exception], ...]) -> None:
    assert all(issubclass(error, base) for base in bases)
