"""Expire idle sessions of workers on this machine whose process has ended without leaving.

The failure detector of any machine watches sessions with claims by their silence, but an idle session is silent by
nature. On its own machine, among processes that share process ids, a worker can check whether the process still exists.
Sessions of older versions name only their host, which two containers may share. If a live worker is expired by mistake,
it reads its own expiry and joins anew; it has lost no claims.
"""

import os
import socket
from collections.abc import Iterable, Iterator

from ...tasks.state.state import SessionState
from ..scheduling.decide import Expire
from .machine import machine


def departed(sessions: Iterable[SessionState]) -> Iterator[Expire]:
    """Yield the expiry of each session without claims whose process on this machine has ended."""
    host, here = socket.gethostname(), machine()
    for session in sessions:
        is_here = session.machine == here if session.machine else session.host == host
        if session.claims or not is_here:
            continue
        if not _exists(session.pid):
            yield Expire(session.partition, session.worker, session.last)


def _exists(pid: int) -> bool:
    if pid <= 0:
        return True  # unknown
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # it belongs to another user, or is no valid process id
    return True
