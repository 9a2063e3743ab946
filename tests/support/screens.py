"""Run the screen without a terminal on the hour of the shop, and read what is on it."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from journeyman.journal import AsyncJournal
from journeyman.journal.memory.log import MemoryLog, MemoryStore
from journeyman.tui.app import Options, TopApp
from support.shop_hour import NOW, Hour
from support.waiting import reached
from textual.pilot import Pilot

SNAPSHOTS = Path(__file__).parent.parent / "tui" / "snapshots"
BY = "ada@shop"


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, at: float = NOW) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


async def shop_store() -> MemoryStore:
    """The hour of the shop, in memory."""
    store = MemoryStore(1)
    async with AsyncJournal(MemoryLog(store)) as journal:
        await journal.append_drafts(Hour().told())
    return store


@asynccontextmanager
async def screen_of(
    store: MemoryStore | None = None,
    *,
    size: tuple[int, int] = (80, 24),
    clock: Clock | None = None,
    options: Options | None = None,
    open_journal: Callable[[], AsyncJournal] | None = None,
) -> AsyncIterator[tuple[TopApp, Pilot[Any]]]:
    """The running screen, once it shows something."""
    store = store or await shop_store()
    opened = open_journal or (lambda: AsyncJournal(MemoryLog(store)))
    app = TopApp("sqlite:///shop.db", opened, options or Options(BY), clock or Clock())
    async with app.run_test(size=size) as pilot:
        await shows(app, lambda text: "opening the journal" not in text and "ready" in text, "the first frame")
        yield app, pilot


def text_of(app: TopApp) -> str:
    """What is on the screen, as text."""
    width, height = app.size
    strips = app.screen._compositor.render_strips()
    lines = ["".join(segment.text for segment in strip).rstrip() for strip in strips[:height]]
    assert all(len(line) <= width for line in lines)
    return "\n".join(lines)


def says(word: str) -> Callable[[str], bool]:
    """A condition for `shows`: the screen has this word."""
    return lambda text: word in text


async def shows(app: TopApp, condition: Callable[[str], object], describe: str) -> str:
    """Wait until the screen shows what fits the condition, and return its text."""
    try:
        await reached(lambda: condition(text_of(app)), f"the screen to show {describe}")
    except AssertionError as error:
        raise AssertionError(f"{error}; it shows:\n{text_of(app)}") from None
    return text_of(app)


def matches_snapshot(app: TopApp, name: str) -> None:
    """Compare the screen with the file of that name; with UPDATE_SNAPSHOTS=1 write the file instead."""
    path, shown = SNAPSHOTS / f"{name}.txt", text_of(app) + "\n"
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8"), f"{path} differs; UPDATE_SNAPSHOTS=1 writes what is shown"


def options(*, read_only: bool) -> Options:
    """The options of a screen."""
    return Options(BY, read_only=read_only)


async def append(store: MemoryStore, name: str, key: str, **context: Any) -> None:
    """Append an event, as another process does."""
    async with AsyncJournal(MemoryLog(store)) as journal:
        await journal.append(name, context, key)


async def named(store: MemoryStore, name: str) -> list[dict[str, Any]]:
    """The contexts of the events of that name."""
    async with AsyncJournal(MemoryLog(store)) as journal:
        reading = await journal.read(None, 100_000)
        return [event.context for event in reading.events if event.name == name]


async def asked(app: TopApp, pilot: Pilot[Any], key: str) -> None:
    """Press the key of an act at the dead letter, and wait for its question."""
    await pilot.press("5")
    await shows(app, lambda text: "Declined" in text, "the dead letter")
    await pilot.press(key)
    await shows(app, lambda text: "Enter: do it" in text, "the question")
