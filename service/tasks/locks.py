"""The locks: GET /locks, GET /locks/{lock}, POST /locks/{lock}/release."""

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from ...tasks.answers.locks import LockAnswer, LockInFullAnswer, ReleaseAnswer, lock_answer, lock_in_full
from ...tasks.inspection.lock_history import lock_history
from ...tasks.locking.requests import lock_requests
from ...tasks.state.locks import holders
from ..answers import spoken
from ..backend import Backend
from .paging import page_by_name
from .parameters import (
    ACTING,
    LIMIT_DEFAULT,
    READING,
    After,
    AnyRequest,
    Limit,
    LockName,
    Reason,
    Seen,
    not_found,
    signature,
)
from .writes import read_back


class LockList(msgspec.Struct, frozen=True):
    """The locks by name that are held or waited for; `next` is the cursor of the next page."""

    as_of: float
    locks: list[LockAnswer]
    next: str | None = None


class Release(Reason, frozen=True, forbid_unknown_fields=True):
    """Which hold to release: that of the token, or all; with `dry_run` nothing is appended."""

    token: int | None = None
    dry_run: bool = False


class ReleaseList(msgspec.Struct, frozen=True):
    """The holds of a lock that were released, or have ended meanwhile; empty if it was not held."""

    released: list[ReleaseAnswer]


@get("/locks", opt=READING)
async def list_locks(
    seen: NamedDependency[Seen], cursor: After = None, limit: Limit = LIMIT_DEFAULT
) -> Response[LockList]:
    """List the locks that are held or waited for, by name, with the holders and the requests that wait."""
    locks = sorted((name, requests) for each in seen.view.locks.values() for name, requests in each.items())
    page, following = page_by_name(locks, lambda lock: lock[0], cursor, limit)
    return spoken(LockList(seen.at, [lock_answer(*lock, seen.at) for lock in page], following), seen.cursor)


@get("/locks/{lock:str}", opt=READING)
async def show_lock(
    backend: NamedDependency[Backend], seen: NamedDependency[Seen], lock: LockName
) -> Response[LockInFullAnswer]:
    """Show a lock and its history: its requests, grants and ends, the refused events with the reason."""
    found = await lock_history(backend.journal, lock, seen.cursor)
    if not (found.requests or found.steps):
        raise not_found("lock", lock, seen.cursor)
    return spoken(lock_in_full(lock, found, seen.at), seen.cursor)


@post("/locks/{lock:str}/release", opt=ACTING, status_code=200)
async def release_lock(
    request: AnyRequest,
    backend: NamedDependency[Backend],
    lock: LockName,
    data: JSONBody[Release | None] = None,
) -> Response[ReleaseList]:
    """Release a lock that is held, whether its holder lives or not, so that the next request is granted.

    A holder that lives goes on with its work and learns of the release when it renews its lease.
    """
    wanted, by = data or Release(), signature(request, data)
    requests = lock_requests(backend.journal)
    held = [each for each in holders(await requests.look(lock)) if wanted.token in (None, each.token)]
    done = [
        ReleaseAnswer(
            lock,
            each.token,
            each.owner,
            wanted.dry_run or await requests.end(lock, each.token, by),
            wanted.dry_run,
        )
        for each in held
    ]
    await read_back(backend)
    return spoken(ReleaseList(done), backend.cursor)
