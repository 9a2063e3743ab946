"""9. A checkpoint keeps how far a consumer has come, under a name, so that it goes on there after a restart.

It is Kafka's committed offset, and it is an event of the journal itself. Committing after the work means at least once.
For exactly once, the checkpoint stands in the database of the effects, and one transaction writes both.
"""

import sqlite3
from pathlib import Path

import journeyman as jm


def next_event(consumer: jm.JournalConsumer) -> jm.JournalEventBase:
    """The next event. `poll` waits for it, at most 5 seconds here."""
    event = consumer.poll(timeout=60.0)
    assert event is not None, "None would say that the stream has ended"
    return event


def test_named_checkpoint_resumes_after_the_last_commit(journal: jm.Journal) -> None:
    journal.append_all([("bread.sold", {"loaves": loaves}, None) for loaves in (2, 3, 5)])

    with jm.JournalConsumer(journal, "bread", checkpoint="till") as consumer:
        assert next_event(consumer).context == {"loaves": 2}
        consumer.commit()
        assert next_event(consumer).context == {"loaves": 3}  # handed out, and not committed

    with jm.JournalConsumer(journal, "bread", checkpoint="till") as consumer:
        assert next_event(consumer).context == {"loaves": 3}, "what was not committed comes again"


def test_checkpoint_beside_the_effects_makes_them_exactly_once(journal: jm.Journal, tmp_path: Path) -> None:
    journal.append_all([("bread.sold", {"loaves": loaves}, None) for loaves in (2, 3, 5)])
    till = sqlite3.connect(tmp_path / "till.db", isolation_level=None)
    till.execute("CREATE TABLE sales (loaves INTEGER)")

    def book(*, fails: bool) -> None:
        with jm.JournalConsumer(journal, "bread", checkpoint=jm.SqliteCheckpoint(till, "till")) as consumer:
            consumer.stop()
            for event in consumer:
                till.execute("BEGIN")
                till.execute("INSERT INTO sales VALUES (?)", [event.context["loaves"]])
                consumer.commit()
                if fails and event.context["loaves"] == 3:
                    till.execute("ROLLBACK")  # as a crash here would do: neither the sale nor the checkpoint is kept
                    return
                till.execute("COMMIT")

    book(fails=True)
    book(fails=False)
    assert till.execute("SELECT loaves FROM sales").fetchall() == [(2,), (3,), (5,)]
    till.close()
