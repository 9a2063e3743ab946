"""A view: what a reader makes of the log. A pure fold, with no clock, no randomness and no input or output."""

from typing import Any, ClassVar

from ...journal.event import Event, decode
from ...journal.log import Page


class View:
    """Base of every view; a user's own needs only `apply`.

    `apply` is called once for each event, in the order of its partition, and its state is a function of those events
    alone: every reader that replays the log reaches the same. What it returns, its verdict, is the view's own affair.

    A view that also says its state as bytes, and under which name, is started from snapshots: see `snapshot`.
    """

    snapshot_name: ClassVar[str | None] = None
    """Under which name snapshots of the state are kept with the journal; None: none are, its readers replay."""

    @property
    def snapshot_schema(self) -> str:
        """The form of the state and the rules it was made by: change it when `apply` or `snapshot` changes.

        A snapshot of another schema is not used.
        """
        return "1"

    def apply(self, event: Event) -> Any:
        """Take one event into the state."""
        raise NotImplementedError

    def apply_page(self, page: Page) -> None:
        """Take a page of records into the state; views that replay millions decode less than a whole event here."""
        for offset, row in zip(page.offsets, page.rows, strict=True):
            self.apply(decode(row, page.partition, offset))

    def snapshot(self) -> bytes:
        """The whole state. Restoring it and applying what came since must equal replaying everything."""
        raise NotImplementedError

    def restore(self, state: bytes) -> None:
        """Take the place of a fresh view that has applied what a `snapshot` had; any error leaves it a fresh view."""
        raise NotImplementedError
