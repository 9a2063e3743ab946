"""Decide how many child processes a pool should have. Pure: the pool starts and ends them, and keeps the time."""

from collections.abc import Sequence
from typing import NamedTuple


class Member(NamedTuple):
    """One child: how many jobs it holds, whether it has started, how long it has had none, and whether it is to go."""

    held: int
    ready: bool = True
    idle_seconds: float = 0.0
    retiring: bool = False


class PoolSize(NamedTuple):
    """How many jobs a child runs at a time; how many children there are at least, and at most."""

    places: int
    floor: int
    ceiling: int


def growth(waiting: int, members: Sequence[Member], pool_size: PoolSize) -> int:
    """Return how many children to add: up to the floor always, beyond it if all are full and starting ones do not do.

    `waiting` jobs could not be handed to any child.
    """
    room = pool_size.ceiling - len(members)
    missing = pool_size.floor - len(members)
    if any(each.ready and not each.retiring and each.held < pool_size.places for each in members):
        return max(0, min(room, missing))
    starting = sum(not each.ready for each in members)
    uncovered = waiting - starting * pool_size.places
    return max(0, min(room, max(missing, -(-uncovered // pool_size.places))))


def spare(members: Sequence[Member], pool_size: PoolSize, idle_seconds_max: float) -> list[int]:
    """Return the indices of the children to end: idle for too long, the longest idle first, never below the floor."""
    idle = [
        index
        for index, each in enumerate(members)
        if each.ready and not each.held and each.idle_seconds >= idle_seconds_max
    ]
    idle.sort(key=lambda index: -members[index].idle_seconds)
    return idle[: max(0, len(members) - pool_size.floor)]
