"""Telling the worker's log of records that the fold cannot read: the first of them, by position and reason."""

import logging

from ...consumers.limits import BAD_RECORDS_TOLD_MAX
from ...journal.log import Page
from ...tasks.state.decoding import unreadable

logger = logging.getLogger("journeyman.worker")


class UnreadableRecords:
    """Tells of `BAD_RECORDS_TOLD_MAX` records, one by one; `journeyman status` counts all."""

    def __init__(self) -> None:
        self._told = 0

    def tell(self, page: Page) -> None:
        """There are some in this page."""
        if self._told >= BAD_RECORDS_TOLD_MAX:
            return
        for offset, row in zip(page.offsets, page.rows, strict=True):
            reason = unreadable(row)
            if reason is not None:
                self._told += 1
                logger.warning("the record at %d:%d is passed over: %s", page.partition, offset, reason)
                if self._told == BAD_RECORDS_TOLD_MAX:
                    logger.warning("more such records are counted by `journeyman status`, and no longer told of here")
                    return
