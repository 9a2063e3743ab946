"""Schemathesis asks the service what its OpenAPI document promises, and what it does not."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from journeyman.journal.async_journal import AsyncJournal
from journeyman.service import backend
from journeyman.service.app import create_app
from journeyman.service.events import poll
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

EXAMPLES = 12  # for each operation
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
DOCUMENT: dict[str, Any] = create_app(AsyncJournal("memory://")).openapi_schema.to_schema()
OPERATIONS: dict[str, Any] = {
    f"{operation.method.upper()} {operation.path}": operation
    for operation in (result.ok() for result in schemathesis.openapi.from_dict(DOCUMENT).get_all_operations())  # type: ignore[union-attr] # of ours none is invalid
}


@pytest.fixture(scope="module", autouse=True)
def _waits_are_short() -> Iterator[None]:
    """Refuse at once a cursor that the service never reaches, and events that never come."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(poll, "WAIT_SECONDS_MAX", 0.05)
        patch.setattr(backend, "AT_LEAST_SECONDS", 0.05)
        yield


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_every_answer_is_documented(name: str, address: str) -> None:
    @given(case=OPERATIONS[name].as_strategy())
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Any) -> None:
        case.call_and_validate(base_url=address, checks=CHECKS, timeout=60)

    ask()


def test_schemas_have_names_of_their_own() -> None:
    """Two classes of one name would be told apart by the modules in which they stand."""
    assert [name for name in DOCUMENT["components"]["schemas"] if "_" in name] == []
