"""The documentation names every command, option, event, setting and limit; metrics have a page with a test."""

import re

from docsite import drawings, lives
from docsite.paths import CONFIGURATION
from journeyman.cli.app import COMMANDS
from journeyman.tasks.state import names

from .reference import COMMANDS_PAGE, LIMITS_PAGE, commands_page, limits_page
from .source import ROOT, pages


def test_documents_show_every_command() -> None:
    missing = [name for name in COMMANDS if f"journeyman {name}" not in pages()]
    assert not missing, f"no page shows: {missing}"


def test_documents_name_every_event() -> None:
    own = (
        names.TASK_EVENTS,
        names.WORKER_EVENTS,
        names.QUEUE_EVENTS,
        names.LOCK_EVENTS,
        names.SCHEDULE_EVENTS,
        names.COMMAND_EVENTS,
    )
    events = [name for group in own for name in group]
    missing = [name for name in events if name not in pages()]
    assert not missing, f"no page says what these events mean: {missing}"


def test_page_of_commands_is_made_from_the_code() -> None:
    written = COMMANDS_PAGE.read_text(encoding="utf-8").splitlines()
    missing = [line for line in commands_page().splitlines() if line not in written]
    assert commands_page().splitlines() == written, f"run `make reference`; docs/commands.md lacks {missing[:5]}"


def test_page_of_limits_is_made_from_the_code() -> None:
    written = LIMITS_PAGE.read_text(encoding="utf-8").splitlines()
    missing = [line for line in limits_page().splitlines() if line not in written]
    assert limits_page().splitlines() == written, f"run `make reference`; docs/limits.md lacks {missing[:5]}"


def test_drawings_are_made_from_the_code() -> None:
    old = [name for name, made in drawings.DRAWINGS.items() if (drawings.IMAGES / f"{name}.svg").read_text() != made()]
    assert not old, f"run `make reference`; these drawings differ from the tables in the code: {old}"


def test_each_page_stands_in_the_navigation_of_the_site() -> None:
    listed = CONFIGURATION.read_text(encoding="utf-8")
    missing = [path.name for path in (ROOT / "docs").glob("*.md") if f'"{path.name}"' not in listed]
    assert not missing, (
        f"add these pages to `nav` in tests/docsite/zensical.toml, under the heading where a reader looks: {missing}"
    )


def test_lives_in_the_architecture_pass_the_files_of_the_drawings_in_order() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    for heading, steps in (("## The life of one event", lives.EVENT), ("## The life of one task", lives.TASK)):
        section = text.partition(heading)[2].partition("\n## ")[0]
        place = 0
        for step in steps:
            place = section.find(f"`{step.module}`", place)
            assert place >= 0, f"{heading}: {step.module} ({step.what}) is not named behind the file of the step before"


def test_files_that_the_architecture_names_exist() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rooms = sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))
    named = re.findall(rf"`((?:{'|'.join(rooms)})/[\w/]+\.py)`", text)
    assert len(named) > 40
    missing = [name for name in named if not (ROOT / name).is_file()]
    assert not missing
    inside = [name for name in re.findall(r"`([a-z]+/[\w/]+\.py)`", text) if name not in named]
    assert not [name for name in inside if not list(ROOT.glob(f"*/{name}"))]
