"""The files that a service may open: each connection is one, and the journal needs some besides.

Without a bound on connections a process runs out of files: then it can neither accept nor append, and idle clients have
taken the service down.
"""

import logging
import resource

from .limits import CONNECTIONS_MAX, CONNECTIONS_REFUSED_MAX, FILES_SPARE

logger = logging.getLogger(__name__)


def allow_connections() -> int:
    """Raise this process's limit of open files as far as needed; return how many connections it leaves room for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = CONNECTIONS_MAX + CONNECTIONS_REFUSED_MAX + FILES_SPARE
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    allowed = CONNECTIONS_MAX if soft == resource.RLIM_INFINITY else connections_within(soft)
    if allowed < CONNECTIONS_MAX:
        logger.warning(
            "this process may open %d files, which leaves room for %d connections instead of %d; raise its limit to "
            "%d, by `ulimit -n` or LimitNOFILE",
            soft,
            allowed,
            CONNECTIONS_MAX,
            needed,
        )
    return allowed


def connections_within(files: int) -> int:
    """Return how many connections a process takes that may open so many files; at least one."""
    return max(1, min(CONNECTIONS_MAX, files - CONNECTIONS_REFUSED_MAX - FILES_SPARE))
