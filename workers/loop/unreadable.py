"""Log the first records that the fold cannot read, with position and reason."""

import logging

from ...consumers.limits import BAD_RECORDS_TOLD_MAX
from ...journal.log import Page
from ...tasks.state.decoding import unreadable

logger = logging.getLogger("journeyman.worker")


class UnreadableRecords:
    """Logs up to `BAD_RECORDS_TOLD_MAX` unreadable records one by one; `journeyman status` counts all."""

    def __init__(self) -> None:
        self._logged = 0

    def log(self, page: Page) -> None:
        """Log the unreadable records of this page."""
        if self._logged >= BAD_RECORDS_TOLD_MAX:
            return
        for offset, row in zip(page.offsets, page.rows, strict=True):
            reason = unreadable(row)
            if reason is not None:
                self._logged += 1
                logger.warning("the record at %d:%d is passed over: %s", page.partition, offset, reason)
                if self._logged == BAD_RECORDS_TOLD_MAX:
                    logger.warning("further unreadable records are not logged: `journeyman status` counts them")
                    return
