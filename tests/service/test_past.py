"""The states of past moments: requests for one moment share a replay."""

from pathlib import Path

import anyio
import pytest
from journeyman.journal.async_journal import AsyncJournal
from journeyman.service.past import Past, PastViews
from journeyman.tasks.broker import AsyncBroker
from journeyman.tasks.message import Message
from journeyman.tasks.state.view import TaskView


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_requests_for_one_moment_share_its_state(tmp_path: Path) -> None:
    async with AsyncJournal(f"sqlite:///{tmp_path}/shop.db") as journal:
        events = [await AsyncBroker(journal).submit(Message("send")) for _ in range(3)]
        past, found = PastViews(journal, TaskView), list[Past[TaskView]]()

        async def ask(number: int) -> None:
            found.append(await past.at(events[number].timestamp))

        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(ask, 1)
        assert found[0].view is found[1].view is found[2].view
        assert len(found[0].view.live) == 2
        earlier, later = await past.at(events[0].timestamp), await past.at(events[2].timestamp)
        assert (len(earlier.view.live), len(later.view.live)) == (1, 3)
