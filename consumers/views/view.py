"""A view: what a reader makes of the log. A pure fold, with no clock, no randomness and no input or output."""

from collections.abc import Sequence
from typing import Any, ClassVar

from ...journal.errors import UnreadableRecord
from ...journal.event import Event, readable
from ...journal.log import Page


class View:
    """Base of every view; a user's own needs only `apply`.

    `apply` is called once for each event, in the order of its partition, and its state is a function of those events
    alone: every reader that replays the log reaches the same. What it returns, its verdict, is the view's own affair.

    A view that also says its state as bytes, and under which name, is started from snapshots: see `snapshot`.
    """

    snapshot_name: ClassVar[str | None] = None
    """Under which name snapshots of the state are kept with the journal; None: none are, its readers replay."""

    unreadable = 0
    """How many records were passed over, since they were no events, or since `apply` could not read their context."""

    @property
    def snapshot_schema(self) -> str:
        """The form of the state and the rules it was made by: change it when `apply` or `snapshot` changes.

        A snapshot of another schema is not used.
        """
        return "1"

    @property
    def older_snapshot_schemas(self) -> Sequence[str]:
        """The schemas of older snapshots that `restore` takes as well, the newest first.

        They are used only where retention has removed the history before them, so that it cannot be replayed.
        """
        return ()

    def apply(self, event: Event) -> Any:
        """Take one event into the state."""
        raise NotImplementedError

    def apply_page(self, page: Page) -> None:
        """Take a page of records into the state; views that replay millions decode less than a whole event here.

        What is unreadable is passed over and counted. A context is read where `apply` asks for it: an `apply` that asks
        before it changes anything is never left halfway.
        """
        events, bad = readable(page.rows, page.partition, page.offsets)
        unreadable = len(bad)
        for event in events:
            try:
                self.apply(event)
            except UnreadableRecord:
                unreadable += 1
        if unreadable:
            self.unreadable += unreadable

    def snapshot(self) -> bytes:
        """The whole state. Restoring it and applying what came since must equal replaying everything."""
        raise NotImplementedError

    def restore(self, state: bytes) -> None:
        """Take the place of a fresh view that has applied what a `snapshot` had; any error leaves it a fresh view."""
        raise NotImplementedError
