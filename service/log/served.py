"""Holds the log that a service serves to remote programs, with its identity, for the routes under `/log`."""

import logging
from collections.abc import Mapping
from typing import Any, Final

from litestar import Request
from litestar.datastructures import State

from ...journal.cursor import Cursor
from ...journal.errors import JournalError
from ...journal.http.partitioning import hash_named
from ...journal.http.problems import arguments_of
from ...journal.http.wire import IDENTITY_HEADER, VERSION, Description
from ...journal.log import Log, OneClock, Relaying
from ..backend import Backend, cursor_of
from ..problems import INTERNAL, Problem, encoded_problem, problem_of
from .waits import Waits

logger = logging.getLogger(__name__)

_PLACE: Final = "served_log"
# A key that each partitioner puts elsewhere, by which that of the log is recognised.
_PROBES: Final = tuple(f"probe-{number}" for number in range(64))


class ServedLog:
    """The log of a running service."""

    def __init__(self, backend: Backend, log: Log, identity: str) -> None:
        self.backend = backend
        self.log = log
        self.identity = identity
        self.description = Description(
            VERSION, identity, log.partitions, _partitioner(log), isinstance(log, OneClock), log.needs_loop
        )
        self.waits = Waits(backend.stopping)
        self._relay = log if isinstance(log, Relaying) else None  # once: it looks at each member of the protocol

    def relay(self) -> Relaying:
        """The log, for appends; `Problem` 501 if it cannot append for programs elsewhere."""
        if self._relay is None:
            raise Problem(501, "not-relayed", "the journal behind this service takes no appends over HTTP")
        return self._relay


def _partitioner(log: Log) -> str:
    if log.partitions == 1:
        return "one"
    for name in ("crc32", "murmur2"):
        hashed = hash_named(name)
        if all(hashed(key.encode()) % log.partitions == log.partition_of(key) for key in _PROBES):
            return name
    raise Problem(501, "not-relayed", "the journal behind this service assigns partitions in a way of its own")


async def served(request: Request[Any, Any, Any]) -> ServedLog:
    """The log of the service that got this request; `Problem` 410 if the caller means another journal."""
    return await served_by(request.app.state, request.headers.get(IDENTITY_HEADER))


async def served_by(state: State, meant: str | None) -> ServedLog:
    """The log of the service with that state; `Problem` 410 if the caller means a journal with another identity."""
    found: ServedLog | None = getattr(state, _PLACE, None)
    if found is None:
        backend: Backend = state.backend
        log = await backend.journal.open()
        found = ServedLog(backend, log, await log.identity() if isinstance(log, Relaying) else "")
        setattr(state, _PLACE, found)
    if meant and meant != found.identity:
        raise Problem(410, "journal-gone", "the journal behind this service is not the one that was opened")
    return found


def told(error: Exception) -> Problem:
    """The problem for an error, with the arguments by which the client raises it again."""
    if isinstance(error, ValueError) and not isinstance(error, JournalError):
        return Problem(400, "bad-cursor", str(error))
    problem = problem_of(error)
    if problem.kind == INTERNAL:
        logger.error("a request for the log has failed", exc_info=error)
    if arguments := arguments_of(error):
        problem.more["arguments"] = arguments
    return problem


def told_as_bytes(error: Exception) -> bytes:
    """The document of the problem for an error, as the last frame of an answer that has begun."""
    problem = told(error)
    return encoded_problem(problem.status, problem.kind, problem.detail, more=problem.more)


def offsets_in(text: str, partitions: int) -> Cursor:
    """Parse the cursor of a request; `Problem` 400 if it names a partition that the log does not have."""
    cursor = cursor_of(text, "cursor")
    check(cursor, partitions)
    return cursor


def check(cursor: Mapping[int, int], partitions: int) -> None:
    """Raise `Problem` 400 for a partition that the log does not have."""
    if any(partition >= partitions for partition in cursor):
        raise Problem(
            400, "bad-cursor", f"the journal has {partitions:,} partitions, counted from 0; got {cursor!s:.80}"
        )
