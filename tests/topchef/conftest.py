"""The servers that the client is held against: the originals of both dialects, and our service."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.service import service_here
from support.topchef_servers import original_server


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a real service."""
    path: Path = tmp_path_factory.mktemp("topchef") / "journal.db"
    with service_here(f"sqlite:///{path}") as address:
        yield f"{address}/topchef"


@pytest.fixture(scope="module", params=["v1", "v2", "ours"])
def base(request: pytest.FixtureRequest) -> Iterator[str]:
    """The base URL of each server in turn."""
    if request.param == "ours":
        yield request.getfixturevalue("ours")
        return
    with original_server(request.param) as server:
        yield server.address
