"""Each page of the guide has a journal of its own: a SQLite file that nothing else uses."""

from collections.abc import Iterator
from pathlib import Path

import journeyman as jm
import pytest


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The URL of the journal, by which other processes open it too."""
    return f"sqlite:///{tmp_path}/bakery.db"


@pytest.fixture
def journal(url: str) -> Iterator[jm.Journal]:
    """The journal, open."""
    with jm.Journal(url) as journal:
        yield journal
