"""Large results: refused with a sentence, or split over events and read back as one, of the accepted attempt alone."""

import asyncio
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import journeyman as jm
import msgspec
import pytest
from journeyman.cli.history import _ending as result_or_error
from journeyman.consumers.files.exporting import export
from journeyman.consumers.files.importing import Importer
from journeyman.journal.limits import BATCH_BYTES_MAX, EVENT_BYTES_MAX
from journeyman.journal.memory.log import MemoryLog, MemoryStore
from journeyman.tasks.inspection.history import task_history
from journeyman.tasks.large_results import joined, piece_count, pieces
from journeyman.tasks.limits import RESULT_BYTES_MAX, RESULT_EVENT_BYTES_MAX, RESULT_PART_BYTES
from journeyman.tasks.relocation import Relocation
from journeyman.tasks.state import names
from journeyman.workers.executors.result_encoding import UnserialisableResult, encode_result
from support.workers import working
from task_modules.large_tasks import TASKS, as_bytes, broker, in_child, in_loop, in_thread, pickled, refused, text_of

LARGE = RESULT_EVENT_BYTES_MAX + 1


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[jm.ResultStore]:
    """The results of a worker that runs these tasks."""
    url = f"sqlite:///{tmp_path_factory.mktemp('large')}/tasks.db"
    broker.bind(url)
    with working(TASKS, url, jm.Settings(processes=1)):
        yield jm.ResultStore(broker.journal, serializer=jm.BinarySerializer)
    broker.journal.close()


def events_of(message: jm.Message) -> list[jm.Event]:
    history = broker.journal.run(task_history(broker.journal.asynchronous, message.uuid))
    return [step.event for step in history.steps]


@pytest.mark.parametrize(
    ("task", "size", "result"),
    [
        (in_thread, LARGE, text_of(LARGE)),
        (in_loop, LARGE, [text_of(LARGE), "end"]),
        (in_child, LARGE, text_of(LARGE)),
        (pickled, LARGE, {text_of(LARGE)}),
        (as_bytes, LARGE, b"\xff" * LARGE),
        (in_thread, BATCH_BYTES_MAX + LARGE, text_of(BATCH_BYTES_MAX + LARGE)),
    ],
    ids=["thread", "async", "process", "binary", "msgspec", "more than an append"],
)
def test_split_result_is_read_back_as_one(
    store: jm.ResultStore, task: jm.Task[..., Any], size: int, result: object
) -> None:
    message = task.generate([size])
    assert store.get(message, timeout=60_000, keep=True, type=task) == result
    events = [event for event in events_of(message) if event.name in (names.RESULT_STORED, names.SUCCEEDED)]
    outcome = events[-1].context
    assert [event.name for event in events] == [names.RESULT_STORED] * outcome["parts"] + [names.SUCCEEDED]
    assert [event.context["part"] for event in events[:-1]] == list(range(outcome["parts"]))
    assert {event.context["claim"] for event in events} == {outcome["claim"]}
    assert "result" not in outcome
    assert "encoded" not in outcome
    assert outcome["bytes"] > RESULT_EVENT_BYTES_MAX


def test_split_results_are_read_by_pools_and_by_asyncio(store: jm.ResultStore) -> None:
    messages = [in_thread.generate([size]) for size in (LARGE, 3, LARGE + 1)]
    expected = [text_of(size) for size in (LARGE, 3, LARGE + 1)]
    pool = jm.ResultPool(store)
    assert [result for _, result in pool.stream(*messages, timeout=60_000, keep=True)] == expected

    async def ask() -> list[Any]:
        reading = jm.AsyncResultPool(jm.AsyncResultStore(broker.journal)).stream(*messages)
        return [result async for _, result in reading]

    assert asyncio.run(ask()) == expected
    assert not store.exists(messages[0]), "it was collected"


@pytest.mark.kafka
def test_split_results_are_read_back_as_one_on_kafka(kafka_bootstrap: str) -> None:
    """Also one of more bytes than one append takes."""
    url = f"kafka://{kafka_bootstrap}/large-{uuid.uuid4().hex}?partitions=2&replication=1"
    with jm.Journal(url) as journal:
        made = jm.Task(text_of, jm.Broker(journal, large_results="split"), max_retries=0)
        messages = [made.generate([size]) for size in (LARGE, BATCH_BYTES_MAX + LARGE)]
        expected = [text_of(LARGE), text_of(BATCH_BYTES_MAX + LARGE)]
        with working([made], url):
            results = jm.ResultStore(journal)
            assert [results.get(each, timeout=120_000, keep=True) for each in messages] == expected
        for message in messages:
            steps = journal.run(task_history(journal.asynchronous, message.uuid)).steps
            events = [step.event.name for step in steps]
            assert events.count(names.RESULT_STORED) == steps[-1].event.context["parts"] > 1
            assert events[-1] == names.SUCCEEDED
    with jm.Journal(url) as again:
        results = jm.ResultStore(again)
        assert [results.get(each) for each in messages] == expected
        assert not results.exists(messages[0]), "it was collected"


def test_large_result_is_refused_with_size_limit_and_way_out(store: jm.ResultStore) -> None:
    message = refused.generate([LARGE])
    with pytest.raises(jm.TaskFailedError) as raised:
        store.get(message, timeout=60_000)
    said = raised.value.text
    assert f"bytes, the limit is {RESULT_EVENT_BYTES_MAX:,}" in said
    assert 'large_results="split"' in said
    assert not [event for event in events_of(message) if event.name == names.RESULT_STORED]


def test_result_beyond_the_total_limit_is_refused_even_if_split() -> None:
    with pytest.raises(UnserialisableResult, match=f"the limit is {RESULT_BYTES_MAX:,}. Store it elsewhere"):
        encode_result(in_thread, "x" * RESULT_BYTES_MAX)


def test_unknown_setting_is_refused() -> None:
    with pytest.raises(jm.ValidationError, match="large_results is 'refuse' or 'split', got 'drop'"):
        jm.Broker("memory://", large_results="drop")  # type: ignore[arg-type]


# -- parts -------------------------------------------------------------------------------------------------------------


def rows_of(text: str, claim: int = 3, task: str = "t") -> list[bytes]:
    about = {"task": task, "claim": claim}
    said = [about | {"part": part, "text": piece} for part, piece in enumerate(pieces(text.encode()))]
    return [msgspec.json.encode({"timestamp": 1.0, "name": names.RESULT_STORED, "context": each}) for each in said]


@pytest.mark.parametrize("character", ["a", "é", "€", "😀", '"'])
@pytest.mark.parametrize("shift", range(4))
def test_pieces_are_cut_between_characters_and_fit_an_event(character: str, shift: int) -> None:
    text = "x" * shift + character * (RESULT_PART_BYTES + 5)
    rows = rows_of(text)
    assert len(rows) == piece_count(text.encode()) > 1
    assert all(len(row) < EVENT_BYTES_MAX for row in rows)
    assert joined(reversed(rows), "t", 3, len(rows)) == text


def test_parts_of_other_claims_and_tasks_are_left_out() -> None:
    text, other = "a" * (RESULT_PART_BYTES + 1), "b" * (RESULT_PART_BYTES + 1)
    own = rows_of(text)
    foreign = rows_of(other, claim=2) + rows_of(other, claim=4) + rows_of(other, task="u") + [b"not a record"]
    assert joined([*foreign, *own, *rows_of(other)], "t", 3, 2) == text, "of two with one number the first counts"
    assert joined([*foreign, own[0]], "t", 3, 2) is None, "one is missing"


def test_parts_of_a_lost_attempt_are_no_part_of_the_result() -> None:
    url = "memory://lost-attempt"
    with jm.Journal(url) as journal:
        message = jm.Message("work")
        jm.Broker(journal).submit(message)
        key, about = message.uuid, {"task": message.uuid}

        def append(name: str, **context: Any) -> int:
            return journal.append(name, about | context, key=key).offset

        def claim(worker: str) -> int:
            journal.append(names.JOINED, {"worker": worker, "lease_ms": 1_000}, key=worker)
            return append(names.CLAIMED, worker=worker)

        lost = claim("v")
        append(names.RESULT_STORED, worker="v", claim=lost, part=0, text='"lost ')
        journal.append(names.LEFT, {"worker": "v"}, key="v")
        held = claim("w")
        append(names.RESULT_STORED, worker="v", claim=lost, part=1, text='late"')
        append(names.RESULT_STORED, worker="w", claim=held, part=0, text='"he')
        append(names.SUCCEEDED, worker="v", claim=lost, parts=2, bytes=11)
        append(names.RESULT_STORED, worker="w", claim=held, part=1, text='ld"')
        append(names.SUCCEEDED, worker="w", claim=held, parts=2, bytes=6)
        assert jm.ResultStore(journal).get(message) == "held"


def test_result_with_a_missing_part_is_a_key_error() -> None:
    with jm.Journal("memory://missing-part") as journal:
        message = jm.Message("work")
        jm.Broker(journal).submit(message)
        journal.append(names.JOINED, {"worker": "w", "lease_ms": 1_000}, key="w")
        about = {"task": message.uuid, "worker": "w"}
        held = journal.append(names.CLAIMED, about, key=message.uuid).offset
        outcome = about | {"claim": held, "parts": 2, "bytes": 6}
        journal.append(names.SUCCEEDED, outcome, key=message.uuid)
        with pytest.raises(KeyError, match=r"of its 2 parts the journal .* no longer holds all"):
            jm.ResultStore(journal).get(message)


def test_split_result_survives_an_import_into_other_partitions(store: jm.ResultStore, tmp_path: Path) -> None:
    message = in_thread.generate([LARGE])
    assert store.get(message, timeout=60_000, keep=True) == text_of(LARGE)

    async def copied() -> Any:
        lines: list[bytes] = []
        await export(broker.journal.asynchronous, lines.append)
        copy = jm.AsyncJournal(MemoryLog(MemoryStore(3)))
        importer = Importer(
            copy,
            positional=lambda name: name.startswith(("task.", "worker.")),
            relocate=lambda log: Relocation(log.partitions, log.partition_of),
        )
        await importer.prepare()
        await importer.take(b"".join(lines).splitlines())
        return await jm.AsyncResultStore(copy).get(message)

    assert asyncio.run(copied()) == text_of(LARGE)


@pytest.mark.parametrize("task", [in_thread, pickled], ids=["json", "binary"])
def test_history_shows_a_split_result_by_its_size(store: jm.ResultStore, task: jm.Task[..., Any]) -> None:
    message = task.generate([LARGE])
    store.get(message, timeout=60_000, keep=True)
    ending = result_or_error(broker.journal.run(task_history(broker.journal.asynchronous, message.uuid)))
    assert ending is not None
    assert re.fullmatch(r"result <in \d parts: \d,\d{3},\d{3} bytes>", ending.plain)


def test_history_shows_a_pickled_result_by_its_size(store: jm.ResultStore) -> None:
    message = pickled.generate([10])
    store.get(message, timeout=60_000, keep=True)
    ending = result_or_error(broker.journal.run(task_history(broker.journal.asynchronous, message.uuid)))
    assert ending is not None
    assert ending.plain.startswith("result <binary: ")
