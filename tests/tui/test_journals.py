"""The screen over other journals than one in memory: files and services, also such that go away and come back."""

import asyncio
from pathlib import Path
from typing import Never

import journeyman as jm
import pytest
from journeyman.journal import AsyncJournal
from journeyman.tui import following
from journeyman.tui.app import Options, TopApp
from support.screens import BY, Clock, says, shows, text_of
from support.service import service_here, service_process
from support.shop_hour import NOW, Hour
from textual.widgets import Input

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """An outage is noticed soon."""
    monkeypatch.setattr(following, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(following, "ANSWER_SECONDS_MAX", 0.5)


@pytest.fixture(scope="module")
def shop_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hour of the shop in a file."""
    path = tmp_path_factory.mktemp("shop") / "shop.db"
    with jm.Journal(f"sqlite:///{path}?sync=normal") as journal:
        journal.append_drafts(Hour().told())
    return path


def screen(url: str) -> TopApp:
    return TopApp("the journal", lambda: AsyncJournal(url, create=False), Options(BY), Clock(NOW))


async def content(url: str) -> str:
    """The overview over the journal at `url`."""
    app = screen(url)
    async with app.run_test(size=(120, 40)):
        return await shows(app, says("failures of the hour"), "the overview")


async def test_screen_shows_a_file_and_its_service_alike(shop_file: Path) -> None:
    with service_here(f"sqlite:///{shop_file}") as address:
        behind = await content(address)
    assert behind == await content(f"sqlite:///{shop_file}")


async def test_screen_outlives_its_service(shop_file: Path) -> None:
    url = f"sqlite:///{shop_file}"
    with service_process(url) as served:
        port = int(served.address.rpartition(":")[2])
        app = screen(served.address)
        async with app.run_test(size=(120, 40)) as pilot:
            before = await shows(app, says("failures of the hour"), "the overview")
            served.process.kill()
            await shows(app, lambda text: text.splitlines()[-1].startswith("! "), "that the service is away")
            assert text_of(app).splitlines()[2:-1] == before.splitlines()[2:-1], "what was known stays"
            with service_process(url, port=port):
                await shows(app, lambda text: text.splitlines()[-1].startswith("? keys"), "that it goes on")
                await pilot.press("3")
                await shows(app, says("1 of 7"), "the tasks")


async def test_screen_reads_the_journal_that_takes_the_place_of_another(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    submit(path, "first")
    app = screen(f"sqlite:///{path}")
    async with app.run_test(size=(100, 30)):
        await shows(app, says("first"), "the first journal")
        remove(path)
        await shows(app, lambda text: text.splitlines()[-1].startswith("! "), "that the journal is gone")
        submit(path, "second")
        text = await shows(app, says("second"), "the second journal")
        assert "first" not in text


async def test_step_through_time_takes_the_place_of_another(shop_file: Path) -> None:
    """A step through time that is overtaken by another one ends early."""
    app = screen(f"sqlite:///{shop_file}")
    async with app.run_test(size=(100, 30)) as pilot:
        await shows(app, says("failures of the hour"), "the overview")
        await pilot.press(*["left_square_bracket"] * 4)
        text = await shows(app, says("4 min 0 s ago"), "the last of the steps")
        assert "as of 2026-11-21 14:01:00+00:00" in text


async def test_screen_stays_responsive_while_the_journal_is_slow(shop_file: Path) -> None:
    """Nothing that the screen waits for is a read of the journal: its thread may be stuck, and keys still work."""

    class Slow(AsyncJournal):
        async def open(self) -> Never:
            await asyncio.Event().wait()
            raise AssertionError("the wait has no end")

    app = TopApp("slow", lambda: Slow(f"sqlite:///{shop_file}"), Options(BY), Clock(NOW))
    async with app.run_test(size=(100, 30)) as pilot:
        await shows(app, says("opening the journal"), "that it waits")
        await pilot.press("3", "slash", "a")
        assert app.query_one("#filter", Input).value == "a"


def remove(path: Path) -> None:
    """Remove a journal, with the files beside it."""
    for each in path.parent.glob(f"{path.name}*"):
        if each.is_file():
            each.unlink()


def submit(path: Path, queue: str) -> None:
    """Submit a task to this queue of the journal at `path`, which is made if it is missing."""
    with jm.Journal(f"sqlite:///{path}?sync=normal") as journal:
        jm.task(jm.Broker(journal), name="paint", queue=queue)(print).generate(args=[])
