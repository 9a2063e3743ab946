"""Locks: the cost of an acquire and a release that meet no other process, beside two lone appends."""

from journeyman import Journal, Lock
from journeyman.bench.appends import alternate, figure
from journeyman.bench.context import Bench, sqlite_url
from journeyman.bench.figure import Figure


def uncontended(bench: Bench) -> list[Figure]:
    """Acquire and release one lock again and again; on the other side append two events, one by one."""
    with bench.file("locks") as path, Journal(sqlite_url(path)) as journal:
        lock = Lock("door", journal)

        def acquire_and_release(part: range) -> None:
            for _ in part:
                if not (lock.acquire() and lock.release()):
                    raise AssertionError("no other process uses the lock, and it was not acquired or released")

        def append_two(part: range) -> None:
            for _ in part:
                journal.append("door.opened", {"door": 1}, key="door")
                journal.append("door.closed", {"door": 1}, key="door")

        sides = alternate(bench, "locks", bench.size.lone_appends // 2, acquire_and_release, append_two)
        return [figure("lock", "acquire and release of a free lock", "two lone appends", sides, 2, 0.4)]
