"""2. A consumer hands out history in time order, then one sentinel, then events as they are appended.

Unlike a consumer group of Kafka, it shares nothing: each consumer gets every event of its topic. A topic is a prefix of
event names: `bread` covers `bread.baked` and `bread.sold`, and not `breadcrumbs.swept`.
"""

import journeyman as jm
import pytest


def next_event(consumer: jm.JournalConsumer) -> jm.JournalEventBase:
    """The next event. `poll` waits for it, at most 5 seconds here."""
    event = consumer.poll(timeout=60.0)
    assert event is not None, "None would say that the stream has ended"
    return event


def test_consumer_replays_history_then_follows(journal: jm.Journal) -> None:
    journal.append("bread.baked", {"loaves": 12})
    journal.append("oven.cleaned")
    journal.append("bread.sold", {"loaves": 2})

    with jm.JournalConsumer(journal, "bread", include_sentinel=True) as consumer:
        # What was in the journal when the consumer started is history; the oven is no bread.
        assert next_event(consumer).name == "bread.baked"
        assert next_event(consumer).name == "bread.sold"

        # The sentinel is an empty event: here history ends. A program that builds a state from history is complete now.
        assert next_event(consumer).is_empty()

        # What comes later is live. `poll` is woken by the append; it does not look again and again.
        journal.append("bread.sold", {"loaves": 1})
        assert next_event(consumer).context == {"loaves": 1}


def test_poll_tells_no_event_yet_from_no_event_ever(journal: jm.Journal) -> None:
    journal.append("bread.baked", {"loaves": 12})

    with jm.JournalConsumer(journal, "bread") as consumer:
        assert next_event(consumer).name == "bread.baked"
        with pytest.raises(TimeoutError):
            consumer.poll(timeout=0)  # none is there now; one may come

        journal.append("bread.sold", {"loaves": 3})
        consumer.stop()  # deliver what is in the journal by now, then end
        assert next_event(consumer).name == "bread.sold"
        assert consumer.poll() is None


def test_iteration_ends_after_stop(journal: jm.Journal) -> None:
    journal.append_all([("bread.sold", {"loaves": loaves}, None) for loaves in (2, 3, 5)])

    with jm.JournalConsumer(journal, "bread.sold") as consumer:
        consumer.stop()
        assert sum(event.context["loaves"] for event in consumer) == 10
