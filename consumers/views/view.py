"""Define views: pure folds of the log, without a clock, randomness, input or output."""

from collections.abc import Sequence
from typing import Any, ClassVar

from ...journal.errors import UnreadableRecord
from ...journal.event import Event
from ...journal.event_decoding import readable
from ...journal.log import Page


class View:
    """Base of every view; a user's view needs only `apply`.

    `apply` is called once for each event, in the order of its partition, and the state is a function of those events
    alone: every reader that replays the log reaches the same state. The meaning of its return value is up to the view.

    A view that sets `snapshot_name` and implements `snapshot` and `restore` starts from snapshots.
    """

    snapshot_name: ClassVar[str | None] = None
    """The name under which the journal stores snapshots of the state; None: no snapshots, readers replay history."""

    unreadable = 0
    """How many records were skipped because they are not events, or because `apply` could not read their context."""

    @property
    def snapshot_schema(self) -> str:
        """The version of the state's format and rules: change it when `apply` or `snapshot` changes.

        A snapshot of another schema is not used.
        """
        return "1"

    @property
    def older_snapshot_schemas(self) -> Sequence[str]:
        """The schemas of older snapshots that `restore` accepts as well, the newest first.

        They are used only if retention has removed the history before them, so that it cannot be replayed.
        """
        return ()

    def apply(self, event: Event) -> Any:
        """Apply one event to the state."""
        raise NotImplementedError

    def apply_page(self, page: Page) -> None:
        """Apply a page of records to the state; views that replay millions may override it to decode less per event.

        Unreadable records are skipped and counted. A context is decoded when `apply` accesses it: an `apply` that does
        so before it changes anything is never interrupted halfway by an unreadable context.
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
        """Return the whole state. Restoring it and applying later events must equal replaying everything."""
        raise NotImplementedError

    def restore(self, state: bytes) -> None:
        """Load a `snapshot` into this fresh view; after any error it must still be a fresh view."""
        raise NotImplementedError
