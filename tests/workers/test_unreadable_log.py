"""The first unreadable records are logged by their positions, and that others follow."""

import pytest
from journeyman.consumers.limits import BAD_RECORDS_TOLD_MAX
from journeyman.journal.log import Page
from journeyman.workers.loop.unreadable import UnreadableRecords
from support.ledger import Ledger


def test_first_unreadable_records_are_logged_over_all_pages(caplog: pytest.LogCaptureFixture) -> None:
    log, good = UnreadableRecords(), Ledger()
    good.submit("a")
    for start in (100, 200, 300):
        bad = [b"{"] * (BAD_RECORDS_TOLD_MAX - 1)
        log.log(Page(2, range(start, start + len(bad) + 1), [good.rows[0], *bad]))
    said = [record.getMessage() for record in caplog.records]
    where = [*range(101, 100 + BAD_RECORDS_TOLD_MAX), 201]
    assert said[:-1] == [f"the record at 2:{at} is passed over: Input data was truncated" for at in where]
    assert said[-1] == "further unreadable records are not logged: `journeyman status` counts them"
