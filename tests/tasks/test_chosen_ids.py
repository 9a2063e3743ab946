"""Ids that callers chose are refused for as long as the journal holds their tasks."""

import asyncio
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import journeyman as jm
import pytest
from journeyman.journal import limits
from journeyman.journal.errors import AppendInDoubt
from journeyman.journal.testing.faults import Fault, FaultyLog
from journeyman.journal.url import log_from_url
from journeyman.tasks.state import names

_PROGRAM = """
import sys
import journeyman as jm

with jm.Journal(sys.argv[1]) as journal:
    broker = jm.Broker(journal)
    journal.bounds()
    print("ready", flush=True)
    for number in range(int(sys.argv[2])):
        sys.stdin.readline()
        try:
            broker.submit(jm.Message(task_name="charge", args=[number], uuid=f"order-{number}"))
        except jm.MessageAlreadyExistsError:
            print("refused", flush=True)
        else:
            print("accepted", flush=True)
"""


@pytest.fixture(params=["memory", "sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("JOURNEYMAN_STATE", str(tmp_path / "state"))
    if request.param == "memory":
        return f"memory://{uuid.uuid4().hex}?partitions=3"
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/journal.db"
    return f"kafka://{request.getfixturevalue('kafka_bootstrap')}/ids-{uuid.uuid4().hex}?partitions=3"


@pytest.fixture
def journal(url: str) -> Iterator[jm.Journal]:
    with jm.Journal(url) as opened:
        yield opened


def charging(broker: jm.Broker) -> jm.Task[[int], int]:
    @jm.task(broker)
    def charge(order: int) -> int:
        return order

    return charge


def submissions(journal: jm.Journal) -> list[str | None]:
    """The ids whose submissions a reader of the journal sees."""
    found: list[str | None] = []
    cursor = journal.bounds().first
    while (reading := journal.read(cursor)).events:
        cursor = reading.cursor
        found += [event.key for event in reading.events if event.name == names.SUBMITTED]
    return found


def end(journal: jm.Journal, task_id: str) -> None:
    """Have the task claimed and succeeded."""
    partition = journal.asynchronous.log.partition_of(task_id)
    worker = uuid.uuid4().hex
    joined = jm.Draft(names.JOINED, b'{"worker":"%b","lease_ms":1000}' % worker.encode(), worker, partition)
    claimed = b'{"task":"%b","worker":"%b"}' % (task_id.encode(), worker.encode())
    journal.append_drafts([joined])
    claim = journal.append_drafts([jm.Draft(names.CLAIMED, claimed, task_id)])[0]
    ended = {"task": task_id, "worker": worker, "claim": claim.offset, "result": 1}
    journal.append(names.SUCCEEDED, ended, task_id)


def test_chosen_id_is_refused_the_second_time(journal: jm.Journal) -> None:
    charge = charging(jm.Broker(journal))
    charge.generate(args=[7], uuid="order-7")
    with pytest.raises(jm.MessageAlreadyExistsError, match=r"'order-7' already.*and waits to be run") as refusal:
        charge.generate(args=[7], uuid="order-7")
    assert refusal.value.refused == ("order-7",)
    assert submissions(journal) == ["order-7"]


def test_chosen_id_of_a_task_ended_long_ago_is_refused(url: str) -> None:
    with jm.Journal(url) as journal:
        charge = charging(jm.Broker(journal))
        charge.generate(args=[7], uuid="order-7")
        end(journal, "order-7")
        noise = [("noise.made", {"number": number}, "order-7") for number in range(limits.PAGE_EVENTS)]
        journal.append_all(noise)
    if url.startswith("memory"):
        return  # it ends with its process
    with jm.Journal(url) as journal:
        charge = charging(jm.Broker(journal))
        with pytest.raises(jm.MessageAlreadyExistsError, match=r"'order-7' already.*and has succeeded"):
            charge.generate(args=[7], uuid="order-7")
        assert submissions(journal) == ["order-7"]


def test_events_of_others_under_the_same_key_are_no_task(journal: jm.Journal) -> None:
    journal.append("order.paid", {"order": 7}, key="order-7")
    charging(jm.Broker(journal)).generate(args=[7], uuid="order-7")
    assert submissions(journal) == ["order-7"]


def test_generated_ids_are_not_searched(journal: jm.Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    def looked_for(*_: object) -> None:
        raise AssertionError("an id that was made just now was looked for")

    for name in ("journeyman.tasks.broker.submit_next", "journeyman.tasks.submitting.submit_unknown"):
        monkeypatch.setattr(name, looked_for)
    broker = jm.Broker(journal)
    charging(broker).generate(args=[7])
    broker.submit(jm.Message(task_name="charge"), new=True)
    broker.submit_all([jm.Message(task_name="charge") for _ in range(3)], new=True)
    assert len(submissions(journal)) == 5


def test_submit_all_names_refused_ids_and_accepts_the_others(journal: jm.Journal) -> None:
    broker = jm.Broker(journal)
    known = [jm.Message(task_name="charge", uuid=f"known-{number}") for number in range(5)]
    assert broker.submit_all(known) == 5
    fresh = [jm.Message(task_name="charge", uuid=f"fresh-{number}") for number in range(5)]
    with pytest.raises(jm.MessageAlreadyExistsError, match="6 of 11") as refusal:
        broker.submit_all([*fresh, *known, fresh[0].clone()])
    assert sorted(refusal.value.refused) == sorted([*(message.uuid for message in known), "fresh-0"])
    assert sorted(refusal.value.accepted) == [f"fresh-{number}" for number in range(5)]
    assert len(submissions(journal)) == 10


@pytest.mark.parametrize("chosen", [True, False])
def test_message_in_doubt_resubmitted_is_no_duplicate_of_itself(url: str, chosen: bool) -> None:
    faults: list[Fault] = []

    log = FaultyLog(log_from_url(url), lambda operation: faults.pop() if operation == "append" and faults else None)
    with jm.Journal(log) as journal:
        charge = charging(jm.Broker(journal))
        faults.append(Fault.LOST_ACKNOWLEDGEMENT)
        task_id = "order-7" if chosen else None
        message = charge.generate(args=[7], uuid=task_id, submit=False)
        with pytest.raises(AppendInDoubt):
            charge.broker.submit(message, new=not chosen)
        charge.broker.submit(message, new=not chosen)
        assert submissions(journal) == [message.uuid]
        with pytest.raises(jm.MessageAlreadyExistsError):
            charge.broker.submit(message)
        if chosen:
            with pytest.raises(jm.MessageAlreadyExistsError):
                charge.generate(args=[7], uuid="order-7")


def test_repeated_call_in_doubt_is_the_same_task(url: str) -> None:
    faults = [Fault.LOST_ACKNOWLEDGEMENT]
    log = FaultyLog(log_from_url(url), lambda operation: faults.pop() if operation == "append" and faults else None)
    with jm.Journal(log) as journal:
        charge = charging(jm.Broker(journal))
        with pytest.raises(AppendInDoubt):
            charge.generate(args=[7], uuid="order-7")
        charge.generate(args=[7], uuid="order-7")  # made anew, at another time: the same task all the same
        assert submissions(journal) == ["order-7"]


def test_one_of_two_processes_submits_an_id(url: str) -> None:
    if url.startswith("memory"):
        pytest.skip("a journal in memory has one process")
    rounds = 15
    arguments = [sys.executable, "-c", _PROGRAM, url, str(rounds)]
    programs = [
        subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        for _ in range(2)
    ]
    try:
        assert [program.stdout.readline().strip() for program in programs if program.stdout] == ["ready"] * 2
        for number in range(rounds):
            for program in programs:
                assert program.stdin is not None
                program.stdin.write("go\n")
            said = sorted(program.stdout.readline().strip() for program in programs if program.stdout)
            assert said == ["accepted", "refused"], f"in round {number}"
    finally:
        for program in programs:
            program.communicate()
    with jm.Journal(url) as journal:
        assert sorted(map(str, submissions(journal))) == sorted(f"order-{number}" for number in range(rounds))


# -- what becomes of a second submission -----------------------------------------------------------------------------


def generated(work: jm.Task[..., Any], awaited: bool, **options: Any) -> jm.Message:
    """A message made by `generate`, or by its sibling for asyncio."""
    if awaited:
        return asyncio.run(work.generate_async(**options))
    return work.generate(**options)


@pytest.mark.parametrize("awaited", [False, True], ids=["sync", "async"])
def test_known_id_is_ignored_or_its_message_returned(awaited: bool) -> None:
    with jm.Journal("memory://") as journal:
        work = jm.Task(lambda number: number, jm.Broker(journal), "work")
        first = generated(work, awaited, args=[1], uuid="mine")
        ignored = generated(work, awaited, args=[2], uuid="mine", if_exists="ignore")
        assert (ignored.uuid, ignored.args) == ("mine", (2,))
        known = generated(work, awaited, args=[2], uuid="mine", if_exists="return")
        assert known == first
        with pytest.raises(jm.MessageAlreadyExistsError):
            generated(work, awaited, args=[2], uuid="mine")
        assert [event.context["args"] for event in journal.read().events] == [[1]]
        assert generated(work, awaited, args=[3], uuid="new", if_exists="return").args == (3,)


@pytest.mark.parametrize("awaited", [False, True], ids=["sync", "async"])
def test_way_to_take_a_known_id_is_checked(awaited: bool) -> None:
    work = jm.Task(lambda number: number, jm.Broker("memory://"), "work")
    with pytest.raises(jm.ValidationError, match="if_exists is 'raise', 'ignore' or 'return'"):
        generated(work, awaited, args=[1], uuid="mine", if_exists="skip")
    with pytest.raises(jm.ValidationError, match="an id of your own"):
        generated(work, awaited, args=[1], if_exists="ignore")
