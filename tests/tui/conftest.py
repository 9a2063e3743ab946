"""Times on the screen are local: here in UTC, so that they are the same everywhere."""

import time
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def universal_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make UTC the local time."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        patch.delenv("NO_COLOR", raising=False)
        time.tzset()
        yield
    time.tzset()
