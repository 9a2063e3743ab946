"""A process that holds a lock until its standard input ends: `lock_holder.py URL NAME LEASE_SECONDS [OWNER]`.

It prints the token as soon as it holds the lock.
"""

import sys

import journeyman as jm


def hold(url: str, name: str, lease: str, owner: str | None = None) -> None:
    with jm.Journal(url) as journal, jm.Lock(name, journal, owner_id=owner, lease_seconds=float(lease)) as lock:
        assert lock.acquire(wait=30)
        print(lock.token, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    hold(*sys.argv[1:])
