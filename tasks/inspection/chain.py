"""A chain: the state of each link, and where the chain stands. Pure: `chain_reading` reads it from the journal."""

from typing import Final, NamedTuple

from ..state.state import TaskState
from ..state.transitions import State


class ChainLink(NamedTuple):
    """One task of a chain; `task` is its state, None as long as it is not submitted.

    The name and the queue are empty where retention has removed the submission that names them.
    """

    id: str
    name: str
    queue: str
    task: TaskState | None


class Chain(NamedTuple):
    """A root and its links, in order, as seen from the task `of`."""

    of: str
    links: tuple[ChainLink, ...]

    @property
    def link(self) -> ChainLink:
        """The task from which the chain is seen."""
        return next(link for link in self.links if link.id == self.of)

    def stands_at(self) -> ChainLink:
        """Return the last link that was submitted: on its success the next one depends."""
        return [link for link in self.links if link.task is not None][-1]

    def behind(self, link: ChainLink) -> int:
        """Return the number of links that come after it."""
        return len(self.links) - 1 - self.links.index(link)

    def is_stopped(self) -> bool:
        """Return whether a link is left that does not follow by itself: the one before it did not succeed, or ended it.

        A success and the submission of the next link are in one append, so one without the other has ended the chain.
        """
        at = self.stands_at()
        return at.task is not None and at.task.state in _ENDED and self.behind(at) > 0

    def state_of(self, link: ChainLink) -> str:
        """Return the state of a link as a word: "waits" for one that is not submitted yet, "blocked" if none follows.

        A blocked link follows only if the task at which the chain stands runs again.
        """
        if link.task is not None:
            return link.task.state.name.lower()
        return "blocked" if self.is_stopped() else "waits"


_ENDED: Final = (State.SUCCEEDED, State.FAILED, State.REVOKED)
