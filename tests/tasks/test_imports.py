"""A program imports the rooms that it uses, and no others: a web process must not pay for a worker."""

import importlib
import pkgutil
import subprocess
import sys

import journeyman as jm
import pytest

LOADED = "; import sys; print(*sorted(name for name in sys.modules if name.startswith('journeyman.')))"


def loaded_by(script: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", script + LOADED], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("script", "rooms", "others"),
    [
        ("import journeyman", set(), {"journal", "consumers", "tasks", "workers"}),
        ("import journeyman as jm; jm.Journal", {"journal"}, {"consumers", "tasks", "workers"}),
        ("import journeyman as jm; jm.Broker", {"tasks"}, {"workers"}),
        ("from journeyman import JournalConsumer", {"consumers"}, {"tasks", "workers"}),
        ("import journeyman.testing.plugin", {"testing"}, {"journal", "consumers", "tasks", "workers"}),
        (
            "import journeyman.tasks.definition; from journeyman.tasks import task; task.__call__",
            {"tasks"},
            {"workers"},
        ),
        ("from journeyman.testing import Workbench", {"workers"}, {"cli", "demo"}),
        ("import journeyman.cli.status", {"tasks"}, {"workers", "tasks.broker", "consumers.consumer"}),
        ("import journeyman.tasks.errors", {"tasks"}, {"journal", "consumers", "tasks.broker"}),
        ("from journeyman.journal import JournalError", {"journal.errors"}, {"journal.journal", "journal.sqlite"}),
    ],
)
def test_first_use_of_a_name_imports_its_room(script: str, rooms: set[str], others: set[str]) -> None:
    loaded = loaded_by(script)
    assert {f"journeyman.{room}" for room in rooms} <= loaded
    assert not {f"journeyman.{room}" for room in others} & loaded


def test_public_names_are_all_there() -> None:
    assert set(jm.__all__) <= set(dir(jm))
    for name in jm.__all__:
        assert getattr(jm, name) is not None


@pytest.mark.parametrize("room", ["journal", "consumers", "tasks", "workers"])
def test_names_of_a_room_are_all_there(room: str) -> None:
    module = importlib.import_module(f"journeyman.{room}")
    for name in module.__all__:
        assert getattr(module, name) is not None
    assert set(module.__all__) <= set(dir(module))


@pytest.mark.parametrize("room", ["", ".journal", ".consumers", ".tasks", ".workers"])
def test_no_public_name_is_that_of_a_submodule(room: str) -> None:
    """The import of a submodule would replace the name in its package."""
    module = importlib.import_module(f"journeyman{room}")
    assert not {each.name for each in pkgutil.iter_modules(module.__path__)} & set(module.__all__)


def test_unknown_name_of_the_package_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'journeyman' has no attribute 'Jurnal'"):
        _ = jm.Jurnal  # type: ignore[attr-defined]
