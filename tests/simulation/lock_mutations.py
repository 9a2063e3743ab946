"""Bugs in the rules and the keeping of locks. Every one of them must be noticed by some seed."""

import math
from collections.abc import Callable
from typing import Any, Final

from journeyman.tasks.locking import keeper, requests, silence
from journeyman.tasks.locking.keeper import Hold, Keeper
from journeyman.tasks.locking.requests import LockRequests
from journeyman.tasks.locking.silence import Silence
from journeyman.tasks.state import locks, names
from journeyman.tasks.state.locks import Locks
from pytest import MonkeyPatch  # noqa: PT013 - a helper, not a test

from .loop_mutations import Plant, rewritten

LOCK_MUTATIONS: Final[dict[str, Plant]] = {
    "a request is granted without being read": rewritten(LockRequests, "_granted", "if own.holds:", "if True:"),
    "a request is granted before its turn": rewritten(locks, "granted", "room > 0 and not", "not"),
    "a sign of life changes nothing": rewritten(silence._Sighting, "observe", "!= self.last", "!= self.last == -1"),
    "leases are renewed too late": lambda patch: patch.setattr(keeper, "LOCK_RENEWAL_FRACTION", 1.5),
    "silence counts while the journal is away": lambda patch: patch.setattr(
        silence, "LOCK_SILENCE_STEP_FRACTION", math.inf
    ),
    "a ttl ends nothing": lambda patch: patch.setattr(Hold, "ends_at", lambda self: math.inf),
    "silent owners are left alone": lambda patch: patch.setattr(Silence, "observe", lambda *_: []),
}


def mutation(plant: Plant) -> Plant:
    """Enter a bug under the words that name it."""
    LOCK_MUTATIONS[plant.__name__.replace("_", " ")] = plant
    return plant


def _before(name: str, change: Callable[[Any, Locks, int], None]) -> Plant:
    """Change the context of the events of that name before the fold sees it."""

    def plant(patch: MonkeyPatch) -> None:
        real = Locks.apply

        def apply(self: Locks, event: str, context: Any, partition: int, *where: Any) -> Any:
            if event == name:
                change(context, self, partition)
            return real(self, event, context, partition, *where)

        patch.setattr(Locks, "apply", apply)

    return plant


def _believe(context: Any, seen: Locks, partition: int) -> None:
    request = seen.find(partition, context.lock, context.token)
    context.last = request.last if request is not None else -1


LOCK_MUTATIONS["an expiry needs not name the last event"] = _before(names.LOCK_EXPIRED, _believe)


@mutation
def capacity_is_the_largest_that_is_named(patch: MonkeyPatch) -> None:
    patch.setattr(locks, "capacity_of", lambda found: max((each.capacity for each in found), default=1))


@mutation
def the_last_that_comes_is_served_first(patch: MonkeyPatch) -> None:
    real = locks.granted
    patch.setattr(locks, "granted", lambda found, *where: real(found[::-1], *where)[::-1])


@mutation
def leases_are_not_renewed(patch: MonkeyPatch) -> None:
    async def nothing(self: Keeper, holds: list[Hold]) -> None:
        for hold in holds:
            hold.due_at = math.inf

    patch.setattr(Keeper, "_renew", nothing)


@mutation
def a_request_given_up_stays_in_line(patch: MonkeyPatch) -> None:
    async def nothing(self: LockRequests, hold: Hold) -> None:
        """Renew it on and on."""

    patch.setattr(LockRequests, "_give_up", nothing)


@mutation
def each_release_is_told_to_have_taken_effect(patch: MonkeyPatch) -> None:
    real = requests.LockRequests.end

    async def boast(self: LockRequests, *what: Any) -> bool:
        await real(self, *what)
        return True

    patch.setattr(LockRequests, "end", boast)
