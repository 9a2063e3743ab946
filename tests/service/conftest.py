"""A service over a journal in a file, for the tests of a module."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from support.service import client, service_here


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The journal of the module's service."""
    path: Path = tmp_path_factory.mktemp("served") / "shop.db"
    return f"sqlite:///{path}"


@pytest.fixture(scope="module")
def address(url: str) -> Iterator[str]:
    """The address of the module's service."""
    with service_here(url) as at:
        yield at


@pytest.fixture
def http(address: str) -> Iterator[httpx2.Client]:
    """A client of the module's service."""
    with client(address) as made:
        yield made
