"""A queue imported by key into a journal with another number of partitions is the same queue."""

import asyncio
import random
import uuid
from pathlib import Path
from typing import Any

import journeyman as jm
import pytest
from journeyman.consumers.checkpoints.operations import checkpoint_statuses, parked_events, replay
from journeyman.consumers.files.exporting import export
from journeyman.consumers.files.importing import Imported, Importer
from journeyman.consumers.files.lines import BadLine
from journeyman.journal.event import Draft, encode_context
from journeyman.journal.log import Log
from journeyman.journal.memory.log import MemoryLog, MemoryStore
from journeyman.tasks.lookup import task_lookup
from journeyman.tasks.relocation import Relocation
from journeyman.tasks.state import names
from journeyman.tasks.state.transitions import State
from journeyman.tasks.state.view import TaskView

TASKS = [f"task-{number}" for number in range(9)]


async def lines_of(log: Log) -> list[bytes]:
    out: list[bytes] = []
    await export(jm.AsyncJournal(log), out.append)
    return b"".join(out).splitlines()


async def relocated(log: Log, lines: list[bytes]) -> Imported:
    importer = Importer(
        jm.AsyncJournal(log),
        positional=lambda name: name.startswith(("task.", "worker.")),
        relocate=lambda copy: Relocation(copy.partitions, copy.partition_of),
    )
    await importer.prepare()
    return await importer.take(lines)


async def folded(log: Log) -> TaskView:
    view, bounds = TaskView(), await log.bounds()
    for partition, first in bounds.first.items():
        offset = first
        while pages := await log.read({partition: offset}, 500):
            view.apply_page(pages[0])
            offset = pages[0].next_offset
    return view


def states(view: TaskView) -> dict[str, tuple[State, int, bool]]:
    """What became of each task: its state, its attempts, and whether a live session holds it."""
    found = {}
    for task_id in TASKS:
        task = view.find(task_id)
        if task is not None:
            held = any(task_id in session.claims for session in view.all_sessions())
            found[task_id] = (task.state, task.attempts, held)
    return found


BY_HAND = sorted(names.BY_HAND)


async def happened(generator: random.Random, partitions: int, events: int) -> MemoryLog:
    """A log of tasks and workers who do likely and unlikely things."""
    log = MemoryLog(MemoryStore(partitions))
    view = TaskView()
    for number in range(events):
        task_id, worker = generator.choice(TASKS), generator.choice("uvw")
        partition = log.partition_of(task_id)
        task, session = view.find(task_id), view.session(partition, worker)
        claim = task.claim if task is not None and generator.random() < 0.9 else number
        last = session.last if session is not None and generator.random() < 0.7 else number
        holder = task.worker if task is not None and task.worker else worker
        about: dict[str, Any] = {"task": task_id, "worker": holder, "claim": claim}
        likely: list[tuple[str, dict[str, Any], str]] = [
            (
                names.SUBMITTED,
                {"task": task_id, "task_name": "work", "max_retries": 2, "expires": 2.0 * (number % 2)},
                task_id,
            ),
            (names.CLAIMED, {"task": task_id, "worker": worker}, task_id),
            (names.CLAIMED, {"task": task_id, "worker": worker}, task_id),
            (names.SUCCEEDED, {**about, "result": 1}, task_id),
            (names.FAILED, about, task_id),
            (names.RETRIED, {**about, "due": 1.0}, task_id),
            (names.INTERRUPTED, about, task_id),
            (names.REVOKED, {"task": task_id}, task_id),
            (names.REQUEUED, {"task": task_id}, task_id),
            (generator.choice(BY_HAND), generator.choice([{"task": task_id}, about]), task_id),
            (names.LAPSED, {"task": task_id}, task_id),
            (names.JOINED, {"worker": worker, "lease_ms": 1_000}, worker),
            (names.JOINED, {"worker": worker, "lease_ms": 1_000}, worker),
            (names.BEAT, {"worker": worker}, worker),
            (names.LEFT, {"worker": worker}, worker),
            (names.EXPIRED, {"worker": worker, "last": last, "by": generator.choice("uvw")}, worker),
            ("order.paid", {"worker": worker}, task_id),
        ]
        name, context, key = generator.choice(likely)
        (event,) = await log.append([Draft(name, encode_context(name, context), key, partition)])
        view.apply(event)
    return log


@pytest.mark.parametrize("seed", range(60))
def test_relocated_queue_is_in_the_same_state(seed: int) -> None:
    async def test() -> None:
        generator = random.Random(seed)
        log = await happened(generator, generator.choice((1, 2, 4)), 300)
        expected, lines = states(await folded(log)), await lines_of(log)
        for partitions in (1, 3, 4):
            copy = MemoryLog(MemoryStore(partitions))
            added = (await relocated(copy, lines)).added
            view = await folded(copy)
            assert states(view) == expected
            for task_id in expected:
                task = view.find(task_id)
                assert task is not None
                assert task.partition == copy.partition_of(task_id)
            again = await relocated(copy, lines)
            assert (again.added, again.known) == (0, added)

    asyncio.run(test())


def test_interrupted_relocation_is_resumed() -> None:
    async def test() -> None:
        log = await happened(random.Random(7), 1, 400)
        expected, lines = states(await folded(log)), await lines_of(log)
        copy = MemoryLog(MemoryStore(4))
        for cut in (1, 150, 290, len(lines)):
            await relocated(copy, lines[:cut])
        assert states(await folded(copy)) == expected

    asyncio.run(test())


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
def four(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a new journal with four partitions."""
    monkeypatch.setenv("JOURNEYMAN_STATE", str(tmp_path / "state"))
    if request.param == "memory":
        return f"memory://{uuid.uuid4().hex}?partitions=4"
    return f"kafka://{request.getfixturevalue('kafka_bootstrap')}/copy-{uuid.uuid4().hex}?partitions=4"


def test_relocated_tasks_can_be_requeued_and_revoked(four: str) -> None:
    async def test() -> None:
        source = MemoryLog()
        joined = await source.append([Draft(names.JOINED, b'{"worker":"w","lease_ms":1000}', "w", 0)])
        assert joined
        for task_id in TASKS:
            context = {"task": task_id, "task_name": "work", "max_retries": 0}
            await source.append([Draft(names.SUBMITTED, encode_context("a", context), task_id)])
        for task_id in TASKS[:6]:
            (claim,) = await source.append(
                [Draft(names.CLAIMED, encode_context("a", {"task": task_id, "worker": "w"}), task_id)]
            )
            about = {"task": task_id, "worker": "w", "claim": claim.offset}
            if task_id in TASKS[:3]:
                await source.append([Draft(names.FAILED, encode_context("a", about), task_id)])
        lines = await lines_of(source)
        async with jm.AsyncJournal(four) as journal:
            await relocated(journal.log, lines)

    asyncio.run(test())
    with jm.Journal(four) as journal:
        broker = jm.Broker(journal)
        for task_id in (*TASKS[:3], *TASKS[6:]):
            (broker.requeue if task_id in TASKS[:3] else broker.revoke)(task_id)
        view, lookup = journal.run(folded(journal.asynchronous.log)), task_lookup(journal.asynchronous)
        found = [journal.run(lookup.find(task_id)).task for task_id in TASKS]
        assert [task.state for task in found if task is not None] == [State.READY] * 3 + [State.CLAIMED] * 3 + [
            State.REVOKED
        ] * 3
        for session in list(view.all_sessions()):  # the worker that ran them is silent here, and is expired
            context = {"worker": session.worker, "last": session.last}
            draft = Draft(names.EXPIRED, encode_context("a", context), session.worker, session.partition)
            journal.append_drafts([draft])
        view = journal.run(folded(journal.asynchronous.log))
        assert not any(held for _, _, held in states(view).values()), "what ran has returned"


def test_queue_of_other_partitions_is_refused_with_a_way_out() -> None:
    async def test() -> None:
        log = await happened(random.Random(3), 1, 100)
        lines = await lines_of(log)
        importer = Importer(jm.AsyncJournal(MemoryLog(MemoryStore(4))), positional=lambda name: name[:5] == "task.")
        await importer.prepare()
        with pytest.raises(BadLine, match="--by-key"):
            await importer.take(lines)

    asyncio.run(test())


@pytest.mark.parametrize(("before", "after"), [(1, 4), (4, 1), (3, 2)])
def test_checkpoints_stand_for_the_same_events(before: int, after: int) -> None:
    async def test() -> None:
        original, copy = MemoryLog(MemoryStore(before)), MemoryLog(MemoryStore(after))
        journal, copied = jm.AsyncJournal(original), jm.AsyncJournal(copy)
        for number in range(120):
            await journal.append("order.paid", {"number": number}, f"order-{number % 17}")
            if number % 40 == 20:
                async with jm.AsyncJournalConsumer(journal, "order", checkpoint="billing") as consumer:
                    for _ in range(15):
                        await consumer.poll()
                    await consumer.commit()
                    assert consumer.cursor is not None
                    offsets = consumer.cursor.offsets
        await journal.append("consumer.checkpointed", {"name": "old", "cursor": offsets}, "old")
        await relocated(copy, await lines_of(original))
        for name in ("billing", "old"):
            consumer = await jm.AsyncJournalConsumer(copied, "order", checkpoint=name).start()
            await consumer.stop()
            ahead = {event.context["number"] async for event in consumer if event is not None}
            assert ahead >= set(range(45, 120)), "none is skipped"
            if before == 1:
                assert ahead == set(range(45, 120))
        (billing, old) = await checkpoint_statuses(copied)
        assert (billing.saved.name, old.saved.name) == ("billing", "old")
        assert billing.lag is not None
        assert billing.lag >= 75

    asyncio.run(test())


def test_parked_event_replayed_in_a_copy_is_parked_as_itself(tmp_path: Path) -> None:
    def refuse(event: Any) -> None:
        if event is not None and event.context["number"] % 10 == 7:
            raise ValueError(f"not {event.context['number']}")

    def consume(journal: jm.Journal) -> list[int]:
        consumer = jm.JournalConsumer(journal, "order", checkpoint="billing", on_error="park", attempts=1)
        consumer.set_callback(refuse).start().stop()
        consumer.join(60)
        consumer.close()
        held = journal.run(parked_events(journal.asynchronous, "billing"))
        return [one.event["context"]["number"] for one in held]

    with jm.Journal("memory://") as journal, jm.Journal("memory://?partitions=4") as copy:
        journal.append_all([("order.paid", {"number": number}, f"order-{number}") for number in range(40)])
        assert consume(journal) == [7, 17, 27, 37]
        lines = journal.run(lines_of(journal.asynchronous.log))
        copy.run(relocated(copy.run(copy.asynchronous.open()), lines))
        for one in copy.run(parked_events(copy.asynchronous, "billing")):
            copy.run(replay(copy.asynchronous, one, "ada@shop"))
        assert sorted(consume(copy)) == [7, 17, 27, 37]


LOCKS = ["door", "gate", "press"]
Held = dict[str, list[tuple[str, bool]]]


async def fought_over(generator: random.Random, partitions: int, events: int) -> MemoryLog:
    """A log of locks, with likely and unlikely events."""
    log = MemoryLog(MemoryStore(partitions))
    view = TaskView()
    for number in range(events):
        lock = generator.choice(LOCKS)
        requests = view.locks.requests(log.partition_of(lock), lock)
        known = generator.choice(requests) if requests else None
        about: dict[str, Any] = {"lock": lock, "token": number}
        if known is not None and generator.random() < 0.8:
            about["token"] = known.token
        last = known.last if known is not None and generator.random() < 0.8 else number
        asked = {"lock": lock, "owner": f"o{number}", "capacity": generator.choice((1, 2)), "lease_ms": 1_000}
        likely = [
            *[(names.LOCK_REQUESTED, asked)] * 4,
            *[(names.LOCK_RENEWED, about)] * 2,
            (names.LOCK_RELEASED, about),
            (names.LOCK_WITHDRAWN, about),
            (names.LOCK_EXPIRED, {**about, "last": last}),
            ("order.paid", about),
        ]
        name, context = generator.choice(likely)
        (event,) = await log.append([Draft(name, encode_context(name, context), lock)])
        view.apply(event)
    return log


def held(view: TaskView, log: Log) -> Held:
    """The requests of each lock, in their order: the owner, and whether it holds the lock."""
    requests = {lock: view.locks.requests(log.partition_of(lock), lock) for lock in LOCKS}
    return {lock: [(each.owner, each.holds) for each in found] for lock, found in requests.items()}


@pytest.mark.parametrize("seed", range(20))
def test_relocated_locks_are_held_by_the_same_owners(seed: int) -> None:
    async def test() -> None:
        generator = random.Random(seed)
        log = await fought_over(generator, generator.choice((1, 2, 4)), 150)
        expected, lines = held(await folded(log), log), await lines_of(log)
        assert any(expected.values())
        for partitions in (1, 3, 4):
            copy = MemoryLog(MemoryStore(partitions))
            await relocated(copy, lines)
            view = await folded(copy)
            assert held(view, copy) == expected
            for lock in LOCKS:  # each is still released by its token in the copy
                place = copy.partition_of(lock)
                for request in view.locks.requests(place, lock):
                    (row,) = (await copy.read({place: request.token}, 1))[0].rows
                    assert names.LOCK_REQUESTED.encode() in row

    asyncio.run(test())


@pytest.mark.anyio
async def test_relocated_schedule_shares_a_partition_with_its_tasks() -> None:
    log = MemoryLog(MemoryStore(2))
    every = {"type": "interval", "every_ms": 10, "start_ms": 10}
    for name in ("alpha", "beta", "gamma"):
        partition, task = log.partition_of(name), f"{name}@1970-01-01T00:00:00.010Z"
        said: list[tuple[str, dict[str, Any]]] = [
            (names.SCHEDULE_CREATED, {"trigger": every, "message": {"task_name": name}, "first": 10}),
            (names.SCHEDULE_FIRED, {"tick": 10, "task": task}),
            (names.SUBMITTED, {"task": task, "task_name": name}),
            (names.SCHEDULE_PAUSED, {}),
        ]
        for event, context in said:
            own = {"schedule": name, **context}
            await log.append([Draft(event, encode_context(event, own), name, partition)])
    expected, lines = (await folded(log)).schedules, await lines_of(log)
    for partitions in (1, 3, 4):
        copy = MemoryLog(MemoryStore(partitions))
        await relocated(copy, lines)
        view = await folded(copy)
        assert view.schedules.keys() == expected.keys()
        for name, schedule in view.schedules.items():
            assert (schedule.last, schedule.fired, schedule.task) == (10, 1, f"{name}@1970-01-01T00:00:00.010Z")
            assert schedule.paused_at == expected[name].paused_at is not None
            assert schedule.partition == copy.partition_of(name) == view.live[schedule.task].partition
