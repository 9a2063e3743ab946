"""Workers of this machine that ended without leaving: their sessions hold nothing, so no lease ends them.

A session that holds claims is watched by its silence, as every machine can; an idle one is silent by nature. But it can
be asked whether a process of the own machine still exists: one that can see the same process ids. Sessions of older
versions say only their host. Should the answer be wrong there, a living worker reads its own expiry and joins anew, and
nothing was taken from it.
"""

import os
import socket
from collections.abc import Iterable, Iterator

from ...tasks.state.state import SessionState
from ..scheduling.decide import Expire
from .machine import machine


def departed(sessions: Iterable[SessionState], own: frozenset[str]) -> Iterator[Expire]:
    """The end of each session without claims whose process is gone from this machine."""
    host, here = socket.gethostname(), machine()
    for session in sessions:
        is_here = session.machine == here if session.machine else session.host == host
        if session.worker in own or session.claims or not is_here:
            continue
        if not _exists(session.pid):
            yield Expire(session.partition, session.worker, session.last)


def _exists(pid: int) -> bool:
    if pid <= 0:
        return True  # unknown: not ours to judge
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # it belongs to another user, or is no number of a process
    return True
