"""A view: what a reader makes of the log. A pure fold, with no clock, no randomness and no input or output."""

from typing import Any

from ..journal.event import Event, decode
from ..journal.log import Page


class View:
    """Base of every view; a user's own needs only `apply`.

    `apply` is called once for each event, in the order of its partition, and its state is a function of those events
    alone: every reader that replays the log reaches the same. What it returns, its verdict, is the view's own affair.
    """

    def apply(self, event: Event) -> Any:
        """Take one event into the state."""
        raise NotImplementedError

    def apply_page(self, page: Page) -> None:
        """Take a page of records into the state; views that replay millions decode less than a whole event here."""
        for offset, row in zip(page.offsets, page.rows, strict=True):
            self.apply(decode(row, page.partition, offset))
