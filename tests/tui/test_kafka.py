"""The screen over a topic of a real Kafka: the same queue, live and as it was."""

import time
import uuid

import journeyman as jm
import pytest
from journeyman.journal import AsyncJournal
from journeyman.tui.app import Options, TopApp
from support.screens import BY, says, shows

pytestmark = [pytest.mark.anyio, pytest.mark.kafka]


async def test_screen_shows_a_topic_live_and_as_it_was(kafka_bootstrap: str) -> None:
    url = f"kafka://{kafka_bootstrap}/top-{uuid.uuid4().hex[:8]}?partitions=2"
    journal = AsyncJournal(url)
    async with journal:
        broker = jm.AsyncBroker(journal)
        await broker.submit_all([jm.Message("paint", queue="walls") for _ in range(20)])
        app = TopApp(url, lambda: AsyncJournal(url, create=False), Options(BY), time.time)
        async with app.run_test(size=(100, 30)) as pilot:
            await shows(app, says("20 ready"), "the tasks of both partitions")
            await broker.submit_all([jm.Message("paint", queue="doors") for _ in range(3)])
            await shows(app, says("23 ready"), "those that came since")
            await pilot.press("left_square_bracket")
            text = await shows(app, says("the history of the journal begins here"), "that there is no minute before")
            assert "PAST" in text
            await pilot.press("l", "3")
            await shows(app, says("1 of 23"), "the tasks of now")
            await pilot.press("x")
            await shows(app, says("Revoke paint"), "the question")
            await pilot.press("enter")
            await shows(app, says("1 of 22"), "one task less")
