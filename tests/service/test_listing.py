"""The list of tasks over several partitions: one order, by pages, whatever the log holds beside the submissions."""

import random
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from journeyman.consumers import as_of
from journeyman.journal.cursor import Cursor
from journeyman.service import backwards
from journeyman.service.tasks import scanning
from journeyman.service.tasks.counting import StateCounts, count_tasks
from journeyman.service.tasks.filtering import ArgumentFilter, SubmissionContext, TaskFilter
from journeyman.service.tasks.listing import all_tasks, held_tasks
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
        to = {"to": {"name": f"n{number % 3}"}}
        message = Message("work", args=(number,), kwargs=to, uuid=f"task-{number}", tags=[str(number % 2)])
        await made.journal.append_drafts([submission(message)])
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
    for module in (scanning, backwards):
        monkeypatch.setattr(module, "LIST_EVENTS_MAX", 10)
    monkeypatch.setattr(backwards, "LIST_STEP_EVENTS", 4)
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


async def counted(shop: Shop, wanted: TaskFilter) -> StateCounts:
    """The counts of all pages together."""
    found, end, first = StateCounts(), (await shop.journal.bounds()).end, True
    while True:
        page = await count_tasks(shop.journal, shop.view(), wanted, end, first=first, as_of=None)
        for name in StateCounts.__struct_fields__:
            setattr(found, name, getattr(found, name) + getattr(page.counts, name))
        if page.after is None:
            return found
        end, first = Cursor({place[0]: place[1] for place in page.after}), False


FILTERS = {
    "all": TaskFilter(),
    "tag": TaskFilter(tag="1"),
    "argument": TaskFilter(argument=ArgumentFilter.parse("kwargs.to.name=n1")),
    "queue": TaskFilter(queue="default"),
    "state": TaskFilter(state=State.REVOKED),
    "name": TaskFilter(name="another"),
}


@pytest.mark.anyio
@pytest.mark.parametrize("wanted", FILTERS.values(), ids=FILTERS)
async def test_counters_follow_the_filter(shop: Shop, wanted: TaskFilter, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (scanning, backwards):
        monkeypatch.setattr(module, "LIST_EVENTS_MAX", 25)
    monkeypatch.setattr(backwards, "LIST_STEP_EVENTS", 8)
    found = await listed(shop, wanted)
    states = [shop.view().state_of(shop.log.partition_of(task), task) for task in found]
    expected = StateCounts(**{name: sum(state is State[name.upper()] for state in states) for name in COUNTED})
    assert await counted(shop, wanted) == expected


COUNTED = StateCounts.__struct_fields__


@pytest.mark.parametrize(
    ("typed", "holds"),
    [
        ("kwargs.to=ada", True),
        ("kwargs.to=Ada", False),
        ("args.0=7", True),
        ("args.1.deep.0=true", True),
        ("args.1.deep.0=1", False),
        ("args.9=7", False),
        ("kwargs.none=null", True),
        ("kwargs.missing=null", False),
        ("ADA", True),
        ('say "hi"', True),
        ("grace", False),
    ],
)
def test_argument_is_a_path_or_a_text(typed: str, holds: bool) -> None:
    said = SubmissionContext(
        args=msgspec.Raw(b'[7,{"deep":[true]}]'),
        kwargs=msgspec.Raw(b'{"to":"ada","none":null,"text":"say \\"hi\\""}'),
    )
    assert ArgumentFilter.parse(typed).holds(said) is holds
