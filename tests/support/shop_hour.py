"""An hour of a shop, the same events each time: what the tests of the screen, and its picture, show."""

import heapq
import random
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from journeyman.journal.event import Draft
from journeyman.top.http_task import HTTPTask

NOW: Final = datetime(2026, 11, 21, 14, 5, tzinfo=UTC).timestamp()
BEGAN: Final = NOW - 65 * 60
WORKERS: Final = {"0192f6b1-0000-7000-8000-00000000a0a1": "ada", "0192f6b1-0000-7000-8000-00000000b0b2": "bert"}
DEAD: Final = "0192f6b1-0000-7000-8000-00000000c0c3"  # the worker that expires
SLOTS: Final = 4
# By queue: the task, its usual run in seconds, and how many are submitted a minute.
QUEUES: Final = {"mail": ("send", 0.8, 9), "pictures": ("shop.thumbnail", 6.0, 5), "orders": ("shop.charge", 2.0, 4)}
REPORT: Final = "0192f6b1-0000-7000-8000-0000000fee1d"  # a task that no worker knows
BROKEN: Final = "0192f6b1-0000-7000-8000-0000000bad01"  # the newest dead letter
TRACEBACK: Final = (
    'Traceback (most recent call last):\n  File "shop/tasks.py", line 31, in charge\n    gateway.charge(order)\n'
    "shop.gateway.Declined: card 4242 was declined\n"
)


class Hour:
    """Tells the hour in the order of its times; `drafts` are its events."""

    def __init__(self) -> None:
        self.drafts: list[Draft] = []
        self._random = random.Random(7)
        self._due: list[tuple[float, int, Any]] = []
        self._number = 0
        self._waiting: list[tuple[str, str, float]] = []
        self._free = dict.fromkeys(WORKERS, SLOTS)
        self._attempts: dict[str, int] = {}

    def told(self) -> list[Draft]:
        """Tell it all."""
        for worker, host in (*WORKERS.items(), (DEAD, "carl")):
            context = {"host": host, "pid": 4_000 + ord(host[0]), "lease_ms": 15_000, "slots": SLOTS}
            known = {"tasks": [name for name, *_ in QUEUES.values()], "queues": list(QUEUES)}
            self._tell(BEGAN, "worker.joined", worker, worker=worker, **context, **known)
        for queue, (_, _, each_minute) in QUEUES.items():
            self._at(BEGAN + self._random.random() * 60 / each_minute, self._arrive, queue)
        self._at(NOW - 2_400, self._lose_worker)
        self._at(NOW - 700, self._submit, REPORT, "shop.report", "reports")
        self._at(NOW - 320, self._break)
        for minute in range(1, 60, 2):
            self._at(NOW - 60 * minute, self._request, minute)
        self._at(NOW - 3, self._request, 0)
        while self._due and self._due[0][0] <= NOW:
            at, _, call = heapq.heappop(self._due)
            call(at)
            self._claim(at)
        return self.drafts

    def _at(self, at: float, call: Any, *arguments: Any) -> None:
        self._number += 1
        heapq.heappush(self._due, (at, self._number, lambda now: call(now, *arguments)))

    def _tell(self, at: float, name: str, key: str, **context: Any) -> int:
        self.drafts.append(Draft(name, orjson.dumps(context), key, 0, round(at, 6)))
        return len(self.drafts) - 1

    def _submit(self, now: float, task: str, name: str, queue: str) -> None:
        said = {"args": [self._number], "created_at": int(now * 1_000), "max_retries": 2, "function": f"{name}:run"}
        self._tell(now, "task.submitted", task, task=task, task_name=name, queue=queue, **said)

    def _arrive(self, now: float, queue: str) -> None:
        name, _, each_minute = QUEUES[queue]
        self._number += 1
        task = f"0192f6b1-{self._number:04x}-7000-8000-{self._random.getrandbits(48):012x}"
        self._submit(now, task, name, queue)
        self._waiting.append((task, queue, now))
        is_rush = NOW - 1_500 < now < NOW - 900 or now > NOW - 60
        busy = 4.0 if is_rush else 1.0
        self._at(now + self._random.expovariate(each_minute * busy / 60), self._arrive, queue)

    def _claim(self, now: float) -> None:
        for worker in self._free:
            while self._free[worker] and self._waiting and self._waiting[0][2] <= now:
                task, queue, _ = self._waiting.pop(0)
                claim = self._tell(now + 0.004, "task.claimed", task, task=task, worker=worker)
                self._free[worker] -= 1
                ran = QUEUES[queue][1] * self._random.uniform(0.4, 2.2)
                self._at(now + ran, self._end, task, queue, worker, claim, ran)

    def _end(self, now: float, task: str, queue: str, worker: str, claim: int, ran: float) -> None:
        self._free[worker] += 1
        outcome = {"task": task, "worker": worker, "claim": claim, "ran_ms": round(ran * 1_000, 1)}
        self._attempts[task] = attempts = self._attempts.get(task, 0) + 1
        if self._random.random() < (0.12 if queue == "orders" else 0.02):
            error = {"name": "TimeoutError", "text": f"no answer from {queue}.example.org within 2 s", "traceback": ""}
            if attempts > 2:
                self._tell(now, "task.failed", task, **outcome, exception=error)
                return
            due = now + 5 * 2**attempts
            self._tell(now, "task.retried", task, **outcome, exception=error, due=round(due, 3))
            self._waiting.append((task, queue, due))
            self._waiting.sort(key=lambda each: each[2])
            return
        self._tell(now, "task.succeeded", task, **outcome, result={"ok": True})

    def _break(self, now: float) -> None:
        """Submit a task that fails at each of its three attempts."""
        self._submit(now, BROKEN, "shop.charge", "orders")
        worker = next(iter(WORKERS))
        for attempt in range(3):
            self._at(now + 1 + 20 * attempt, self._break_once, attempt, worker)

    def _break_once(self, now: float, attempt: int, worker: str) -> None:
        claim = self._tell(now, "task.claimed", BROKEN, task=BROKEN, worker=worker)
        error = {"name": "Declined", "text": "card 4242 was declined", "traceback": TRACEBACK}
        outcome = {"task": BROKEN, "worker": worker, "claim": claim, "ran_ms": 412.5, "exception": error}
        if attempt < 2:
            self._tell(now + 0.4125, "task.retried", BROKEN, **outcome, due=round(now + 15, 3))
        else:
            self._tell(now + 0.4125, "task.failed", BROKEN, **outcome)

    def _lose_worker(self, now: float) -> None:
        joined = next(number for number, draft in enumerate(self.drafts) if draft.key == DEAD)
        self._tell(now, "worker.expired", DEAD, worker=DEAD, last=joined)
        # An outcome that comes too late is refused.
        first = next(draft.key for draft in self.drafts if draft.name == "task.succeeded")
        self._tell(now + 0.2, "task.succeeded", str(first), task=first, worker=DEAD, claim=1, ran_ms=1.0, result=None)

    def _request(self, now: float, number: int) -> None:
        task = HTTPTask(
            task_id=f"r{number}",
            started_at=datetime.fromtimestamp(now, UTC),
            method="GET" if number % 3 else "POST",
            path=f"/orders/{number}",
            client_ip_address=f"203.0.113.{number}",
        )
        begun = {"instance": "web-1", "request": f"r{number}"}
        self._tell(now, "request.started", "web-1", **begun, task=_said(task))
        if number:
            task.ended_at = datetime.fromtimestamp(now + number / 20, UTC)
            task.status_code = 500 if number % 11 == 0 else 200
            task.recorded_successfully = True
            self._at(now + number / 20, lambda at: self._tell(at, "request.ended", "web-1", **begun, task=_said(task)))


def _said(task: HTTPTask) -> dict[str, Any]:
    return {name: value for name, value in task.to_dict().items() if value is not None}
