"""The pytest plugin: the fixture `journeyman_workbench`. It imports the product when a test asks for the fixture."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .workbench import Workbench

_OPTION = "journeyman_tasks"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the setting that names the packages with tasks."""
    parser.addini(
        _OPTION,
        "packages or modules whose tasks journeyman_workbench knows from the start, one a line; it finds the tasks of "
        "other modules when their messages are submitted",
        type="linelist",
        default=[],
    )


@pytest.fixture
def journeyman_workbench(request: pytest.FixtureRequest) -> "Iterator[Workbench]":
    """A workbench: until the test ends, what is submitted goes to its journal, and the test runs it and moves time."""
    from .workbench import Workbench

    with Workbench(*request.config.getini(_OPTION)) as workbench:
        yield workbench
