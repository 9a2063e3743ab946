"""What can go wrong with a consumer beside its journal."""

from ..journal.errors import JournalError


class CheckpointMoved(JournalError):
    """An operator has moved the checkpoint while its consumer was running: starting it again goes on there."""
