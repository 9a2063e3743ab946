"""What the journal says of locks: who was granted one, and whether the processes that used it had a right to.

A task that holds a lock appends `hold.begun` and `hold.ended` with its token, under the key of the lock: so the log
also shows what the processes believed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import journeyman as jm

from torture.verdicts import Loss, Verdicts


@dataclass
class Request:
    """A live request of a lock; `begun` says whether its process uses the lock."""

    token: int
    owner: str
    capacity: int
    pid: int
    last: int
    last_at: float
    holds: bool = False
    begun: bool = False


class LockLedger:
    """The locks of one partition, worked out event by event; `has_ended` says it of a task."""

    def __init__(self, verdicts: Verdicts, has_ended: Callable[[str], bool]) -> None:
        self.verdicts = verdicts
        self._has_ended = has_ended
        self._requests: dict[str, list[Request]] = {}
        self._granted: dict[tuple[str, int], int] = {}  # of each grant ever made: the pid
        self._ended: dict[tuple[str, int], str] = {}
        self._newest: dict[str, int] = {}  # of each lock: the highest token that was used

    def take(self, event: jm.Event) -> None:
        """Apply an event; those about something else are left alone."""
        handler = getattr(self, "_" + event.name.replace(".", "_"), None)
        if handler is None:
            return
        lock = event.context["lock"]
        requests = self._requests.setdefault(lock, [])
        if event.name == "lock.requested":
            handler(requests, event)
        else:
            request = next((each for each in requests if each.token == event.context["token"]), None)
            handler(requests, request, event)
        self._grant(lock, requests)

    def _grant(self, lock: str, requests: list[Request]) -> None:
        """Serve those that wait in their order, as far as the smallest capacity that is named allows."""
        for waiting in [each for each in requests if not each.holds]:
            if sum(each.holds for each in requests) >= min(each.capacity for each in requests):
                return
            waiting.holds = True
            self._granted[lock, waiting.token] = waiting.pid
            self.verdicts.counts["locks granted"] += 1

    def _lock_requested(self, requests: list[Request], event: jm.Event) -> None:
        said = event.context
        requests.append(
            Request(event.offset, said["owner"], said.get("capacity", 1), said["pid"], event.offset, event.timestamp)
        )

    def _lock_renewed(self, requests: list[Request], request: Request | None, event: jm.Event) -> None:
        if request is not None:
            request.last, request.last_at = event.offset, event.timestamp

    def _lock_withdrawn(self, requests: list[Request], request: Request | None, event: jm.Event) -> None:
        self._end(requests, request, event)

    def _lock_released(self, requests: list[Request], request: Request | None, event: jm.Event) -> None:
        if request is None or not request.holds:
            self.verdicts.counts["refused releases"] += 1
            return
        task = event.context.get("task")
        if task is not None:
            self.verdicts.counts["linked locks released"] += 1
            if not self._has_ended(task):
                self._violated(event, f"was released for the task {task}, which has not ended")
        self._end(requests, request, event)

    def _lock_expired(self, requests: list[Request], request: Request | None, event: jm.Event) -> None:
        if request is None or request.last != event.context["last"]:
            self.verdicts.counts["refused expiries of locks"] += 1
            return
        if request.begun and event.context["reason"] == "silent":
            self.verdicts.losses.append(Loss(event.context["lock"], request.pid, request.last_at, event.timestamp))
        self._end(requests, request, event)

    def _end(self, requests: list[Request], request: Request | None, event: jm.Event) -> None:
        if request is not None:
            requests.remove(request)
            self._ended[event.context["lock"], request.token] = event.name

    def _hold_begun(self, requests: list[Request], request: Request | None, event: jm.Event) -> None:
        lock, token, capacity = (event.context[name] for name in ("lock", "token", "capacity"))
        self.verdicts.counts["holds"] += 1
        if (lock, token) not in self._granted:
            self._violated(event, "is used by a process that was never granted it")
        elif request is None:
            self._too_late(event)
        else:
            request.begun = True
            if token < self._newest.get(lock, -1) and capacity == 1:
                self._violated(event, f"is used under a token below {self._newest[lock]}")
            self._newest[lock] = max(token, self._newest.get(lock, -1))
            used = sum(each.begun for each in requests)
            if used > capacity:
                self._violated(event, f"is used by {used} at once, and {capacity} may")

    def _hold_ended(self, requests: list[Request], request: Request | None, event: jm.Event) -> None:
        if request is None:
            self._too_late(event)
        else:
            request.begun = False

    def _too_late(self, event: jm.Event) -> None:
        """Note the use of a lock that was lost before: only a process that stood still does not know of it yet."""
        lock, token = event.context["lock"], event.context["token"]
        if self._ended.get((lock, token)) == "lock.expired":
            self.verdicts.counts["late uses of locks"] += 1
        else:
            self._violated(event, f"is used after {self._ended.get((lock, token))}")

    def _violated(self, event: jm.Event, what: str) -> None:
        said: dict[str, Any] = event.context
        self.verdicts.violations.append(f"the lock {said['lock']} {what}: token {said['token']}, at {event.offset}")

    def close(self) -> None:
        """Note the locks that are linked to tasks and still held: those of processes end with their leases."""
        for lock, requests in self._requests.items():
            for request in requests:
                if request.owner.startswith(LINKED_OWNER):
                    self.verdicts.violations.append(f"the lock {lock} of a task that has ended is still held")


LINKED_OWNER = "linked-"  # the owners of locks that the harness links to tasks begin so
