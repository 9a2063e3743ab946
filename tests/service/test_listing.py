"""The list of tasks over several partitions: one order, by pages, whatever the log holds beside the submissions."""

import random
from collections.abc import Mapping
from typing import Any

import pytest
from journeyman.consumers import as_of
from journeyman.journal.cursor import Cursor
from journeyman.service.tasks import listing
from journeyman.service.tasks.listing import TaskFilter, all_tasks, held_tasks
from journeyman.tasks import Message, State, TaskView
from journeyman.tasks.submitting import submission
from support.shop import Shop

PARTITIONS = 3
TASKS = 60


@pytest.fixture
async def shop(anyio_backend_name: str) -> Shop:
    """A journal of several partitions, with tasks among events of other programs."""
    chosen, made = random.Random(7), Shop(PARTITIONS)
    for number in range(TASKS):
        await made.journal.append_drafts([submission(Message("work", uuid=f"task-{number}", tags=[str(number % 2)]))])
        for _ in range(chosen.randrange(4)):
            await made.journal.append("other.thing", {"number": number}, key=str(number))
        if number % 5 == 0:
            await made.say("task.revoked", f"task-{number}", task=f"task-{number}")
    return made


async def listed(shop: Shop, wanted: TaskFilter, limit: int = 7) -> list[str]:
    """The ids on all pages of the list of all tasks."""
    found: list[str] = []
    end: Mapping[int, int] = (await shop.journal.bounds()).end
    while True:
        page = await all_tasks(shop.journal, shop.view(), wanted, end, limit, as_of=None)
        assert len(page.tasks) <= limit
        found += [task.task for task in page.tasks]
        if page.after is None:
            return found
        end = dict(page.after)


async def held(shop: Shop, wanted: TaskFilter, limit: int = 7) -> list[str]:
    """The ids on all pages of the list of the tasks that the view holds."""
    found: list[str] = []
    after: Any = None
    while True:
        page = await held_tasks(shop.journal, shop.view(), wanted, after, limit)
        found += [task.task for task in page.tasks]
        if page.after is None:
            return found
        after = page.after


NEWEST_FIRST = [f"task-{number}" for number in reversed(range(TASKS))]


@pytest.mark.anyio
async def test_partitions_are_merged_from_the_newest_on(shop: Shop) -> None:
    assert len({shop.log.partition_of(task) for task in NEWEST_FIRST}) == PARTITIONS
    assert await listed(shop, TaskFilter()) == NEWEST_FIRST
    assert await listed(shop, TaskFilter(tag="1"), limit=4) == NEWEST_FIRST[::2]


@pytest.mark.anyio
async def test_states_divide_the_list(shop: Shop) -> None:
    revoked = await listed(shop, TaskFilter(state=State.REVOKED))
    assert revoked == NEWEST_FIRST[4::5]
    assert await held(shop, TaskFilter(state=State.READY)) == [task for task in NEWEST_FIRST if task not in revoked]
    assert await held(shop, TaskFilter(state=State.READY, tag="0"), limit=5) == [
        task for task in NEWEST_FIRST[1::2] if task not in revoked
    ]


@pytest.mark.anyio
async def test_page_reads_a_bounded_number_of_events(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "LIST_EVENTS_MAX", 10)
    monkeypatch.setattr(listing, "LIST_STEP_EVENTS", 4)
    page = await all_tasks(
        shop.journal, shop.view(), TaskFilter(tag="none"), (await shop.journal.bounds()).end, 7, as_of=None
    )
    assert page.tasks == []
    assert page.after is not None
    assert await listed(shop, TaskFilter()) == NEWEST_FIRST


@pytest.mark.anyio
async def test_list_of_a_past_moment_has_its_states(shop: Shop) -> None:
    end = Cursor((await shop.journal.bounds()).end)
    await shop.say("task.revoked", "task-1", task="task-1")
    past = await as_of(shop.journal, TaskView, end)
    page = await all_tasks(shop.journal, past, TaskFilter(), end, TASKS, as_of=end)
    assert {task.task: task.state for task in page.tasks if task.task in ("task-0", "task-1")} == {
        "task-0": "revoked",
        "task-1": "ready",
    }
