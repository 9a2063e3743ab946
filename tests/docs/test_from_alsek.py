"""The table of what Alsek has: every name in it is there, with the parameters it lists in their order."""

import inspect
import re
from pathlib import Path
from typing import Any

import journeyman as jm
import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "from-alsek.md").read_text()
ROWS = [line.split(" | ") for line in PAGE.splitlines() if line.startswith("| `")]
KINDS = ("same", "better", "more", "same, less")
NAMES = [
    pytest.param(name, id=name.partition("(")[0])
    for row in ROWS
    if len(row) > 2 and row[1].strip() in KINDS
    for name in re.findall(r"`([A-Za-z_]\w*(?:\.\w+)?(?:\([^`]*\))?)`", row[0])
    if name[0].isupper() or hasattr(jm, name.partition("(")[0])
]


def test_table_says_of_each_row_how_it_compares() -> None:
    kinds = {row[1].strip() for row in ROWS if len(row) > 2}
    assert kinds == set(KINDS)
    assert len(NAMES) > 70


@pytest.mark.parametrize("name", NAMES)
def test_name_in_the_table_exists_with_its_parameters(name: str) -> None:
    path, _, listed = name.partition("(")
    found: Any = jm
    for part in path.split("."):
        if found is jm.Message and part in jm.Message.__struct_fields__:
            return
        found = getattr(found, part)
    if not listed:
        return
    wanted = [each.strip() for each in listed.rstrip(")").split(",")]
    if found is jm.Message:
        assert list(jm.Message.__struct_fields__[: len(wanted)]) == wanted
        return
    parameters = [each for each in inspect.signature(found).parameters if each != "self"]
    assert parameters[: len(wanted)] == wanted


@pytest.mark.parametrize(("sync", "awaited"), [("Broker", "AsyncBroker"), ("StatusTracker", "AsyncStatusTracker")])
def test_asynchronous_sibling_has_the_same_calls(sync: str, awaited: str) -> None:
    ours, theirs = getattr(jm, sync), getattr(jm, awaited)
    own = {"asynchronous", "bind", "has_journal", "journal", "opening_url", "doubts", "submit_made", "lend"}
    calls = {name for name in dir(ours) if not name.startswith("_")} - own - {"after_fork_in_child"}
    assert calls <= set(dir(theirs))
    for name in calls:
        if inspect.isfunction(getattr(ours, name)):
            assert list(inspect.signature(getattr(ours, name)).parameters) == list(
                inspect.signature(getattr(theirs, name)).parameters
            )
