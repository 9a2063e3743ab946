"""A view of one's own: how many events of each name came in each minute.

    python examples/events_per_minute.py sqlite:///shop.db [until, as 2026-11-21T09:30+00:00]

It starts from the newest snapshot, so the second look at a long journal is quick; with a time it shows what was counted
by then.
"""

import sys
from datetime import UTC, datetime
from typing import Any

import journeyman as jm
import msgspec
from journeyman.consumers import Replica, View, as_of
from journeyman.consumers.views.snapshots import SnapshotKeeper

Counts = dict[str, dict[int, int]]


class EventsPerMinute(View):
    """`counts[name][minute]`, the minute in seconds since the epoch."""

    snapshot_name = "events-per-minute"

    def __init__(self) -> None:
        self.counts: Counts = {}

    def apply(self, event: jm.Event) -> Any:
        """Count one event."""
        minutes = self.counts.setdefault(event.name, {})
        minute = int(event.timestamp // 60 * 60)
        minutes[minute] = minutes.get(minute, 0) + 1

    def snapshot(self) -> bytes:
        """The counts as bytes."""
        return msgspec.msgpack.encode(self.counts)

    def restore(self, state: bytes) -> None:
        """The counts from bytes."""
        self.counts = msgspec.msgpack.decode(state, type=Counts)


def main(url: str, until: str | None = None) -> None:
    """Print the counts, minute by minute, in UTC."""
    with jm.Journal(url) as journal:
        if until is not None:
            moment = datetime.fromisoformat(until).timestamp()
            counts = journal.run(as_of(journal.asynchronous, EventsPerMinute, moment)).counts
        else:
            replica = Replica(journal.asynchronous, EventsPerMinute())
            cursor = journal.run(replica.catch_up())
            journal.run(SnapshotKeeper(journal.asynchronous.log, replica.view).take(cursor))
            counts = replica.view.counts
    lines = [(minute, name, count) for name, minutes in counts.items() for minute, count in minutes.items()]
    for minute, name, count in sorted(lines):
        print(f"{datetime.fromtimestamp(minute, UTC):%Y-%m-%d %H:%M}  {count:>6}  {name}")


if __name__ == "__main__":
    main(*sys.argv[1:])
