"""A subclass written by the reference page of the original runs here as it stands."""

import asyncio
import copy
import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from journeyman.consumers import AsyncJournalConsumerBase, JournalConsumer, JournalConsumerBase, JournalEventBase
from journeyman.journal import AsyncJournal, InvalidEvent, Journal
from support.journals import OnKafka, OnMemoryPartitions, OnSqlite

PATIENCE = 30.0


class JobEvent(JournalEventBase):
    """As the original's own subclass is made: by an entry and what its response said."""

    def __init__(self, jobid: int, entry: dict[str, Any], jobspec: Any = None) -> None:
        super().__init__(entry)
        self.jobid = jobid
        self.jobspec = jobspec if entry["name"] == "job.submit" else None

    def is_empty(self) -> bool:
        return self.jobid == -1

    def __str__(self) -> str:
        if self.is_empty():
            return f"-1: {self.timestamp:.5f} End of historical data stream"
        return f"{self.jobid}: {self.name} {self.context_string}"


class JobConsumer(JournalConsumerBase):
    """Overrides every hook of the reference page."""

    SENTINEL_EVENT = JobEvent(-1, {"timestamp": 0.0, "name": ""})

    def __init__(self, handle: Any, full: bool = True, since: float = 0.0, include_sentinel: bool = False) -> None:
        super().__init__(handle, "job", full=full, since=since, include_sentinel=include_sentinel)
        self.responses: list[dict[str, Any]] = []

    @property
    def request_payload(self) -> dict[str, Any]:
        return {"full": self.full}

    def process_response(self, resp: Any) -> dict[str, Any]:
        self.responses.append(resp)
        return {"jobspec": {"tasks": len(resp["events"])}}

    def is_empty_response(self, resp: Any) -> bool:
        return len(resp["events"]) == 0

    def create_event(self, entry: dict[str, Any], jobspec: Any = None, **kwargs: Any) -> JobEvent:
        return JobEvent(int(entry["key"]), entry, jobspec)


class Suite:
    def url(self, directory: Path) -> str:
        raise NotImplementedError

    @pytest.fixture
    def journal(self, tmp_path: Path) -> Iterator[Journal]:
        with Journal(self.url(tmp_path)) as journal:
            yield journal

    def test_subclass_of_the_original_follows_history_and_sentinel(self, journal: Journal) -> None:
        for jobid in (1, 2):
            journal.append("job.submit", {"urgency": 16, "userid": 0}, key=str(jobid))
            journal.append("job.finish", {"status": 0}, key=str(jobid))
        consumer = JobConsumer(journal, include_sentinel=True).start()
        events = [consumer.poll(timeout=PATIENCE) for _ in range(5)]
        assert [str(event) for event in events] == [
            "1: job.submit urgency=16,userid=0",
            "1: job.finish status=0",
            "2: job.submit urgency=16,userid=0",
            "2: job.finish status=0",
            "-1: 0.00000 End of historical data stream",
        ]
        first = events[0]
        assert isinstance(first, JobEvent)
        assert first.jobspec is not None
        assert first["context"] == {"urgency": 16, "userid": 0}
        journal.append("job.submit", key="3")
        assert [event["name"] for event in consumer.responses[-1]["events"]] != []
        assert str(consumer.poll(timeout=PATIENCE)) == "3: job.submit "
        consumer.close()

    def test_hooks_get_dictionaries_with_every_known_field(self, journal: Journal) -> None:
        appended = journal.append("job.submit", {"deep": [1, {"x": None}]}, key="7")
        consumer = JobConsumer(journal).start()
        consumer.poll(timeout=PATIENCE)
        (response,) = [each for each in consumer.responses if each["events"]]
        assert type(response) is dict
        (entry,) = response["events"]
        assert type(entry) is dict
        assert entry == {
            "timestamp": appended.timestamp,
            "name": "job.submit",
            "context": {"deep": [1, {"x": None}]},
            "key": "7",
            "writer": appended.writer,
            "seq": appended.seq,
            "version": 1,
            "partition": appended.partition,
            "offset": appended.offset,
        }
        assert json.loads(json.dumps(entry)) == entry
        consumer.close()

    def test_hook_may_change_the_dictionary_it_gets(self, journal: Journal) -> None:
        class Renaming(JournalConsumer):
            def create_event(self, entry: Any, **kwargs: Any) -> JournalEventBase:
                entry["context"]["seen"] = True
                entry["colour"] = "red"
                del entry["offset"]
                return JournalEventBase(entry)

        journal.append("job.submit", {"n": 1}, key="7")
        consumer = Renaming(journal).start()
        event = consumer.poll(timeout=PATIENCE)
        assert event is not None
        assert (event["context"], event["colour"], "offset" in event) == ({"n": 1, "seen": True}, "red", False)
        assert consumer.cursor == journal.bounds().end, "the cursor does not depend on what a hook makes of the entry"
        consumer.close()

    async def _follow(self, directory: Path) -> list[Any]:
        class Hooked(AsyncJournalConsumerBase):
            def process_response(self, resp: Any) -> dict[str, Any]:
                return {"names": [entry["name"] for entry in resp["events"]]}

            def create_event(self, entry: Any, **kwargs: Any) -> JobEvent:
                assert entry["name"] in kwargs["names"]
                return JobEvent(int(entry["key"]), entry)

        async with AsyncJournal(self.url(directory)) as journal:
            await journal.append("job.submit", {"n": 1}, key="7")
            async with Hooked(journal, "job") as consumer:
                await consumer.stop()
                return [event["context"] async for event in consumer]

    def test_asynchronous_hooks_get_dictionaries_too(self, tmp_path: Path) -> None:

        assert asyncio.run(self._follow(tmp_path)) == [{"n": 1}]


class TestOnMemoryPartitions(OnMemoryPartitions, Suite):
    pass


class TestOnSqlite(OnSqlite, Suite):
    pass


class TestOnKafka(OnKafka, Suite):
    pass


# --- the event object, as the original's is used ------------------------------------------------------------------


def test_event_is_a_mapping_of_its_fields() -> None:
    event = JournalEventBase({"timestamp": 12.5, "name": "order.paid", "context": {"order": 7}, "jobid": 3})
    assert (event["timestamp"], event["name"], event["context"]) == (12.5, "order.paid", {"order": 7})
    assert event["context"] is event.context
    assert (event.get("key"), event.get("key", "-"), event["jobid"]) == (None, "-", 3)
    assert "name" in event
    assert "key" not in event
    assert list(event) == ["timestamp", "name", "context", "version", "jobid"]
    assert dict(event) == {
        "timestamp": 12.5,
        "name": "order.paid",
        "context": {"order": 7},
        "version": 1,
        "jobid": 3,
    }
    with pytest.raises(KeyError, match="colour"):
        event["colour"]
    match event:
        case {"name": str(name), "context": {"order": number}}:
            assert (name, number) == ("order.paid", 7)
        case _:
            pytest.fail("an event matches the pattern of a mapping")


def test_event_is_made_of_json_text() -> None:
    event = JournalEventBase('{"timestamp": 1.5, "name": "a", "context": {"n": 1}}')
    assert (event.name, event["context"]) == ("a", {"n": 1})
    assert JournalEventBase(event) == event
    with pytest.raises(InvalidEvent, match="not an event"):
        JournalEventBase("{")


def test_event_is_true_and_the_empty_one_has_no_name() -> None:
    empty = JournalEventBase({})
    assert empty
    assert "name" not in empty
    assert dict(empty) == {"timestamp": 0.0, "context": {}, "version": 1}


def test_extra_fields_are_compared_copied_and_pickled() -> None:

    event = JournalEventBase({"timestamp": 1.0, "name": "a", "jobid": 3})
    for other in (copy.copy(event), copy.deepcopy(event), pickle.loads(pickle.dumps(event))):
        assert other == event
        assert other["jobid"] == 3
    assert event != JournalEventBase({"timestamp": 1.0, "name": "a", "jobid": 4})
