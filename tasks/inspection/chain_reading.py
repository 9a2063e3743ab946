"""Read the chain that a task belongs to: its root and links in order, and what became of each.

The submission of a root names all of its links, so a link is found before it is submitted, too.
"""

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Final

from ...journal.async_journal import AsyncJournal
from ..errors import UnknownTaskError
from ..state import names
from ..state.routing import link_id
from ..state.transitions import State
from ..state.verdict import Verdict
from .chain import Chain, ChainLink
from .history import TaskHistory, task_history

_LINK: Final = re.compile(r"([\s\S]+)@([1-9][0-9]*)\Z")
_NEXT: Final = "callback_message_data"


async def chain_of(journal: AsyncJournal, task_id: str, *, until: Mapping[int, int] | None = None) -> Chain | None:
    """Read the chain of a task, before the cursor `until` if one is given; None if it belongs to none."""
    reader = _ChainReader(journal, until)
    own = await reader.history(task_id)
    submission = _submission(own)
    root = submission.get("progenitor_uuid") if own is not None else None
    if own is None or (not submission and _LINK.match(task_id)):  # not submitted yet, or removed by retention
        match = _LINK.match(task_id)
        root = match[1] if match is not None else None
        if root is None:
            return None
    if not isinstance(root, str):
        root = task_id
    first = own if root == task_id else await reader.history(root)
    planned = [(root, *_named(first, _submission(first))), *_following(root, _submission(first))]
    if len(planned) == 1:
        planned = [*_planned_without(root, task_id, own), *_following(task_id, submission)]
    if len(planned) == 1 or task_id not in [link for link, _, _ in planned]:
        return None
    return Chain(task_id, tuple([link async for link in _states(reader, planned)]))


def may_be_in_chain(found: TaskHistory) -> bool:
    """Return whether the history of a task says, or its id suggests, that it belongs to a chain."""
    submission = _submission(found)
    return _NEXT in submission or "progenitor_uuid" in submission or _LINK.match(found.task.id) is not None


def _planned_without(root: str, task_id: str, own: TaskHistory | None) -> list[tuple[str, str, str]]:
    """Return what the id of a submitted link tells of those before it, where the root's submission is gone."""
    match = _LINK.match(task_id)
    if own is None or match is None or match[1] != root:
        return [(task_id, "", "")]
    before = [(link_id(root, number), "", "") for number in range(1, int(match[2]))]
    return [(root, "", ""), *before, (task_id, own.task.name, own.task.queue)]


class _ChainReader:
    """Reads the histories of a chain's tasks; each success is read once, though the next link depends on it."""

    def __init__(self, journal: AsyncJournal, until: Mapping[int, int] | None) -> None:
        self._journal, self._until = journal, until
        self._successes: dict[str, int] = {}

    async def history(self, task_id: str) -> TaskHistory | None:
        """Return the history of a task; None if there is no such task."""
        try:
            return await task_history(self._journal, task_id, until=self._until, successes=self._successes)
        except UnknownTaskError:
            return None


async def _states(reader: _ChainReader, planned: list[tuple[str, str, str]]) -> AsyncIterator[ChainLink]:
    """Yield the links with their states; behind one that has not succeeded none is submitted."""
    reached = True
    for link, name, queue in planned:
        found = await reader.history(link) if reached else None
        data = {"task_name": name, "queue": queue} if name else {}
        yield ChainLink(link, *_named(found, data), None if found is None else found.task)
        reached = reached and (found is None or found.task.state is State.SUCCEEDED)


def _submission(found: TaskHistory | None) -> Mapping[str, Any]:
    """Return the context of the submission of a task; empty if there is none, or retention has removed it."""
    steps = found.steps if found is not None else []
    accepted = (step.event for step in reversed(steps) if step.verdict is Verdict.ACCEPTED)
    return next((event.context for event in accepted if event.name == names.SUBMITTED), {})


def _named(found: TaskHistory | None, data: Mapping[str, Any]) -> tuple[str, str]:
    """Return the name and the queue of a task, from its state if there is one."""
    if found is not None:
        return found.task.name, found.task.queue
    return (str(data.get("task_name") or ""), str(data.get("queue") or names.QUEUE_DEFAULT)) if data else ("", "")


def _following(task_id: str, submission: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield the id, name and queue of each link behind a task."""
    data = submission.get(_NEXT)
    while isinstance(data, Mapping):
        yield str(data.get("uuid")), *_named(None, data)
        data = data.get(_NEXT)
