"""The work of the torture: a stream of tasks, chains, tasks under locks, and a schedule that is paused and resumed."""

import random
from dataclasses import dataclass

import journeyman as jm

from torture import torture_tasks
from torture.lock_ledger import LINKED_OWNER

LOCKS = {"door": 1, "gate": 2}  # the capacities of the locks that tasks use
STOCKS = 4  # so many locks are linked to tasks
LINKS_MAX = 4
# The schedule is paused for this part of the time.
PAUSED = (0.4, 0.45)


@dataclass(frozen=True)
class Shares:
    """The shares of the tasks: `long` ones take half a second, so that workers are hurt while they hold claims."""

    long: float = 0.01
    guarded: float = 0.02
    chains: float = 0.02
    linked: float = 0.02


class Work:
    """Submits tasks; `accepted` are those whose submission was acknowledged, with all links of their chains."""

    def __init__(self, journal: jm.Journal, chance: random.Random, shares: Shares, lease_seconds: float) -> None:
        self.accepted: set[str] = set()
        self._journal, self._chance, self._shares, self._lease = journal, chance, shares, lease_seconds
        torture_tasks.tick.generate()
        self._turns = list(PAUSED)

    def submit(self, wanted: int) -> None:
        """Submit until there are `wanted` tasks in all, in one append."""
        messages: list[jm.Message] = []
        ids: list[str] = []
        while len(self.accepted) + len(ids) < wanted:
            message = self._any_task()
            messages.append(message)
            ids += [message.uuid, *(message.descendant_uuids or ())]
        if messages:
            torture_tasks.broker.submit_all(messages, new=True)
            self.accepted.update(ids)

    def turn_schedule(self, elapsed: float) -> None:
        """Pause the schedule, and resume it, when the time has come; `elapsed` is a share of the whole time."""
        if self._turns and elapsed >= self._turns[0]:
            self._turns.pop(0)
            (torture_tasks.tick.pause if self._turns else torture_tasks.tick.resume)()

    def has_ticked(self) -> bool:
        """Whether the schedule has fired: on a busy machine the first worker may start late."""
        return any(event.name == "schedule.fired" for event in all_events(self._journal))

    def end_schedule(self) -> None:
        """Clear the schedule; from here on the tasks of its ticks count as accepted."""
        torture_tasks.tick.clear()
        fired = (event for event in all_events(self._journal) if event.name == "schedule.fired")
        self.accepted.update(event.context["task"] for event in fired)

    def _any_task(self) -> jm.Message:
        chance, shares = self._chance, self._shares
        kind = chance.random()
        if kind < 0.01:
            return torture_tasks.broken.generate(submit=False)
        if kind < 0.05:
            return torture_tasks.wobbly.generate(kwargs={"failures": chance.randint(1, 3)}, submit=False)
        kind -= 0.05
        milliseconds = 500.0 if kind < shares.long else chance.uniform(0.0, 20.0)
        kind -= shares.long
        if 0.0 <= kind < shares.guarded:
            return self._guarded()
        if 0.0 <= kind - shares.guarded < shares.chains:
            return self._chain()
        message = torture_tasks.work.generate(kwargs={"milliseconds": milliseconds}, submit=False)
        if 0.0 <= kind - shares.guarded - shares.chains < shares.linked:
            self._link(message)
        return message

    def _guarded(self) -> jm.Message:
        lock = self._chance.choice(sorted(LOCKS))
        milliseconds = 300.0 if self._chance.random() < 0.3 else self._chance.uniform(0.0, 20.0)
        kwargs = {
            "lock": lock,
            "capacity": LOCKS[lock],
            "milliseconds": milliseconds,
            "lease_seconds": self._lease,
        }
        return torture_tasks.guarded.generate(kwargs=kwargs, submit=False)

    def _chain(self) -> jm.Message:
        """A chain; now and then one of its links takes longer than the others."""
        links = [torture_tasks.step.generate(kwargs=self._step(), submit=False) for _ in range(self._links())]
        return torture_tasks.step.generate(kwargs=self._step(), callback=links, submit=False)

    def _links(self) -> int:
        return self._chance.randint(1, LINKS_MAX)

    def _step(self) -> dict[str, float]:
        return {"milliseconds": self._chance.choice([0.0, 5.0, 5.0, 200.0])}

    def _link(self, message: jm.Message) -> None:
        """Link a lock to the message, if it is free."""
        name = f"stock-{self._chance.randrange(STOCKS)}"
        lock = jm.Lock(name, self._journal, ttl=None, owner_id=f"{LINKED_OWNER}{message.uuid}")
        if lock.acquire():
            message.link_lock(lock)


def all_events(journal: jm.Journal) -> list[jm.Event]:
    """Every event, in the order of each partition."""
    events: list[jm.Event] = []
    cursor = None
    while (reading := journal.read(cursor, 10_000)).events:
        events += reading.events
        cursor = reading.cursor
    return events
