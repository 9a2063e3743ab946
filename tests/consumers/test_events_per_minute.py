"""The example of a user's own view counts the events of now and of a past moment."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import journeyman as jm

EXAMPLE = Path(__file__).parents[2] / "examples" / "events_per_minute.py"
NINE = datetime(2026, 11, 21, 9, tzinfo=UTC).timestamp()


def lines(*arguments: str) -> list[str]:
    command = [sys.executable, "-W", "error", str(EXAMPLE), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.splitlines()


def test_events_per_minute_counts_live_and_as_of(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shop.db"
    with jm.Journal(url) as journal:
        for seconds, name in ((1, "order.paid"), (59.5, "order.paid"), (60, "order.sent"), (61, "order.paid")):
            journal.append_drafts([jm.Draft(name, timestamp=NINE + seconds)])
        first = ["2026-11-21 09:00       2  order.paid"]
        both = [*first, "2026-11-21 09:01       1  order.paid", "2026-11-21 09:01       1  order.sent"]
        assert lines(url) == both
        (snapshot,) = journal.run(journal.asynchronous.log.snapshots().listed())
        assert (snapshot.view, snapshot.reach) == ("events-per-minute", 4)
        journal.append_drafts([jm.Draft("order.sent", timestamp=NINE + 125)])
        assert lines(url) == [*both, "2026-11-21 09:02       1  order.sent"]
        assert lines(url, "2026-11-21T09:00:59.7+00:00") == first
        assert lines(url, "2026-11-21T09:01:59+00:00") == both
