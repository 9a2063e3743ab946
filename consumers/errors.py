"""The errors of consumers, besides those of the journal."""

from ..journal.errors import JournalError


class CheckpointMoved(JournalError):
    """An operator moved the checkpoint while its consumer was running: a restarted consumer resumes there."""
