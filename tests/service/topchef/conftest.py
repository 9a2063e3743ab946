"""The base URL of the module's services, and one that is registered there."""

import pytest
from support.topchef_original import new_service


@pytest.fixture(scope="module")
def base(address: str) -> str:
    """The base URL of the module's services."""
    return f"{address}/topchef"


@pytest.fixture
def service(base: str) -> str:
    """A new service."""
    return new_service(base)
