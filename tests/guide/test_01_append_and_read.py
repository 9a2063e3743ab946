"""1. A journal is a log of events. You append to it and read from it; you never change what stands in it.

One file holds the whole log, as one partition of Kafka would. An event has a name, a context (any JSON object) and a
key (its subject, such as an order). The log adds a time and a position.
"""

import journeyman as jm
import pytest


def test_append_returns_the_event_with_its_place(journal: jm.Journal) -> None:
    event = journal.append("bread.baked", {"loaves": 12}, key="rye")

    # When `append` returns, the event is on disk (fsync): it has a time and a position, and will never change.
    assert (event.name, event.context, event.key) == ("bread.baked", {"loaves": 12}, "rye")
    assert event.position == jm.Position(partition=0, offset=0)
    assert event.timestamp > 0


def test_append_all_takes_all_events_or_none(journal: jm.Journal) -> None:
    journal.append_all([("bread.baked", {"loaves": 12}, "rye"), ("bread.sold", {"loaves": 2}, "rye")])

    # One event that cannot be stored refuses them all, before anything is written.
    with pytest.raises(jm.InvalidEvent):
        journal.append_all([("bread.sold", {"loaves": 1}, "rye"), ("bread.sold", {"buyer": object()}, "rye")])

    assert [event.name for event in journal.read().events] == ["bread.baked", "bread.sold"]


def test_read_hands_out_a_batch_and_where_to_go_on(journal: jm.Journal) -> None:
    for number in range(3):
        journal.append("bread.baked", {"batch": number})

    # A cursor says, for each partition, the offset to read next. It is all that a reader has to remember.
    first, cursor = journal.read(limit=2)
    second, _ = journal.read(cursor)

    assert [event.context["batch"] for event in first] == [0, 1]
    assert [event.context["batch"] for event in second] == [2]


def test_journal_outlives_the_program_that_wrote_it(url: str) -> None:
    with jm.Journal(url) as journal:
        journal.append("bread.baked", {"loaves": 12})

    with jm.Journal(url) as opened_again:
        assert [event.name for event in opened_again.read().events] == ["bread.baked"]
