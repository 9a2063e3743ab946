"""Compare the state of the queue with thresholds, for alerting. Pure."""

from typing import NamedTuple

from .late_schedules import lateness
from .overview import Overview
from .schedule_lines import is_late
from .wording import age, number


class Thresholds(NamedTuple):
    """The thresholds: at most so many dead letters, so long a wait of a ready task, at least so many workers."""

    dead_max: int = 0
    oldest_seconds_max: float = 300.0
    workers_min: int = 1


class Alarm(NamedTuple):
    """One exceeded threshold: `code` for tools, `sentence` for people."""

    code: str
    sentence: str


def alarms(seen: Overview, allowed: Thresholds) -> list[Alarm]:
    """Return the alarms, the most urgent first. Tasks in a paused queue raise none by their wait."""
    found: list[Alarm] = []
    if len(seen.workers) < allowed.workers_min:
        said = f"{number(len(seen.workers), 'worker is', 'workers are')} running"
        found.append(Alarm("workers", f"{said}, at least {allowed.workers_min:,} wanted"))
    silent = [worker for worker in seen.workers if worker.overdue]
    if silent:
        holding = number(sum(worker.claims for worker in silent), "task")
        found.append(
            Alarm("silent", f"{number(len(silent), 'worker')} silent for longer than the lease, holding {holding}")
        )
    for queue in seen.queues:
        waits = queue.oldest_seconds
        if waits is not None and waits > allowed.oldest_seconds_max and queue.paused_since is None:
            said = f"a task in queue {queue.name} has been ready for {age(waits)}"
            found.append(Alarm("oldest", f"{said}, at most {age(allowed.oldest_seconds_max)} wanted"))
    found += [Alarm("schedule", lateness(line)) for line in seen.schedules if is_late(line)]
    if seen.totals.dead > allowed.dead_max:
        said = f"{number(seen.totals.dead, 'dead letter')}, at most {allowed.dead_max:,} wanted"
        named = ", ".join(letter.id for letter in seen.letters)
        found.append(Alarm("dead_letters", said + (f"; the newest: {named}" if named else "")))
    return found
