"""`journeyman status`, `tail` and `compact` on a journal of which a clock was wrong."""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import journeyman as jm
import pytest
from journeyman.journal.sqlite.log import SqliteLog
from journeyman.journal.testing import ManualClock

Run = Callable[..., "subprocess.CompletedProcess[str]"]
DAY = 86_400.0


@pytest.mark.parametrize("ahead", [DAY, 20 * 365 * DAY])
def test_wrong_clock_is_reported_and_lookups_stay_right(call: Run, url: str, shop: Path, ahead: float) -> None:
    now = time.time()
    path = str(shop / "shop.db")
    with jm.Journal(SqliteLog(path, clock=ManualClock(now - 7_200))) as journal:
        journal.append("early.thing", {})
    with jm.Journal(SqliteLog(path, clock=ManualClock(now + ahead))) as journal:
        journal.append("wrong.thing", {})
    assert "ahead of the clock of this machine" in call("status", "--journal", url).stdout
    with jm.Journal(SqliteLog(path, clock=ManualClock(now - 1_800))) as journal:
        right = [journal.append("right.thing", {"number": number}) for number in range(5)]
        assert right[0].timestamp == pytest.approx(now - 1_800, abs=1e-3)
    seen = json.loads(call("status", "--journal", url, "--json").stdout)
    assert any("times fall back by" in said for said in seen["clocks"])
    tailed = call("tail", "--journal", url, "--since", "40m", "--no-follow", "--json").stdout.splitlines()
    assert [json.loads(line)["name"] for line in tailed if "wrong" not in line] == ["right.thing"] * 5
    assert call("tail", "--journal", url, "--since", "20m", "--no-follow", "--json").stdout.count("right") == 0
    removed = json.loads(call("compact", "--keep", "1h", "--journal", url, "--json").stdout)
    assert removed["removed"] == 1


def test_journal_with_right_clocks_gives_no_warning(call: Run, url: str, shop: Path) -> None:
    with jm.Journal(SqliteLog(str(shop / "shop.db"), clock=ManualClock(time.time() - 7_200))) as journal:
        journal.append("early.thing", {})
    with jm.Journal(url) as journal:
        journal.append("right.thing", {})
    for moment in ((), ("--as-of", "1h")):
        assert json.loads(call("status", "--journal", url, "--json", *moment).stdout)["clocks"] == []
