"""A shop as a journal: the last 75 minutes of its queue, from a seed, for the tests of the page and its images.

Every event is one that workers and programs append; the fold judges them as it judges theirs. Among them are a worker
that falls silent, with its late outcome, retries, dead letters, a chain, a paused queue, and a task with a wild name.
"""

import asyncio
import heapq
import itertools
import random
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import orjson
from journeyman.consumers.files.importing import Importer
from journeyman.journal.async_journal import AsyncJournal

MINUTES = 75
LEASE_MS = 120_000  # of the worker that falls silent
LONG_LEASE_MS = 3_600_000  # of the others: the service that shows the story expires none of them meanwhile
LATE_MS = 151_000.0  # the run of an outcome that comes too late
WILD_NAME = "<script>alert(1)</script>"
# The keys of a service that needs one.
READ_KEY, ADMIN_KEY = "a-key-that-only-reads", "a-key-that-may-do-all"


class Kind(NamedTuple):
    """A kind of task: how many come a minute, how long one runs in seconds, and how often one fails."""

    name: str
    queue: str
    per_minute: float
    seconds: float
    failing: float
    error: tuple[str, str]
    arguments: Callable[[random.Random], tuple[list[Any], dict[str, Any]]]


KINDS = (
    Kind("send_receipt", "mail", 14, 0.4, 0.03, ("SMTPServerDisconnected", "Connection unexpectedly closed"),
         lambda chance: ([f"customer-{chance.randrange(900)}@example.org"], {"order": chance.randrange(7_000, 8_000)})),
    Kind("charge_card", "orders", 9, 1.2, 0.05, ("CardDeclined", "insufficient funds"),
         lambda chance: ([chance.randrange(7_000, 8_000)], {"cents": chance.randrange(500, 90_000)})),
    Kind("reserve_stock", "orders", 9, 0.2, 0.0, ("", ""),
         lambda chance: ([f"sku-{chance.randrange(400):03}"], {"pieces": chance.randrange(1, 5)})),
    Kind("resize_image", "images", 11, 2.6, 0.02, ("UnidentifiedImageError", "cannot identify image file 'cover.webp'"),
         lambda chance: ([f"products/{chance.randrange(4_000)}.webp"], {"width": 1_280})),
    Kind("render_report", "reports", 0.6, 38.0, 0.1, ("TimeoutError", "the warehouse did not answer within 30 s"),
         lambda chance: ([f"2026-{chance.randrange(1, 12):02}"], {"format": "pdf"})),
)  # fmt: skip
HOSTS = (("atlas", 41_210), ("borealis", 1_977), ("cygnus", 30_554), ("draco", 882))


class Story:
    """The events so far; `write` gives each its position, since later ones refer to it."""

    def __init__(self, now: float, *, wild: bool) -> None:
        self.wild = wild
        self.chance = random.Random(11)
        self.begin, self.now = now - MINUTES * 60, now
        self.lines: list[dict[str, Any]] = []
        self.due: list[tuple[float, int, Callable[[float], None]]] = []
        self.order = itertools.count()
        self.waiting: list[tuple[float, str, Kind, int]] = []
        self.workers: dict[str, dict[str, Any]] = {}
        self.free: dict[str, int] = {}
        self.seqs: dict[str, int] = {}
        self.last: dict[str, int] = {}

    def id(self, at: float) -> str:
        """An id as the broker makes them: a UUIDv7 of that time."""
        bits = (
            int(at * 1_000) << 80 | 7 << 76 | self.chance.getrandbits(12) << 64 | 2 << 62 | self.chance.getrandbits(62)
        )
        return str(uuid.UUID(int=bits))

    def write(self, at: float, name: str, context: Mapping[str, Any], key: str | None, writer: str = "shop") -> int:
        place = len(self.lines)
        self.seqs[writer] = self.seqs.get(writer, 0) + 1
        self.lines.append(
            {"timestamp": round(at, 6), "name": name, "context": context, "key": key, "writer": writer}
            | {"seq": self.seqs[writer], "version": 1, "position": f"0:{place}"}
        )
        if "worker" in context:
            self.last[context["worker"]] = place
        return place

    def later(self, at: float, act: Callable[[float], None]) -> None:
        if at <= self.now:
            heapq.heappush(self.due, (at, next(self.order), act))

    def tell(self) -> list[dict[str, Any]]:
        """Tell the story up to now."""
        for number in range(len(HOSTS)):
            self.later(self.begin + 1 + number, partial(self.join, number=number))
        for kind in KINDS:
            self.later(self.begin + 5 + self.chance.random() * 5, partial(self.arrive, kind=kind))
        self.later(self.now - 31 * 60, self.fall_silent)
        self.later(
            self.now - 12 * 60,
            lambda at: self.say(
                at, "queue.paused", queue_name="imports", by="ada", reason="the supplier's file is broken"
            ),
        )
        for apart in range(6):
            self.later(
                self.now - 600 + 7 * apart, lambda at: self.plain(at, "import_prices", "imports", ["supplier-7.csv"])
            )
        if self.wild:
            self.later(
                self.now - 240,
                lambda at: self.plain(at, WILD_NAME, "<img src=x onerror=alert(1)>", ["\"'><script>alert(2)</script>"]),
            )
        self.later(self.now - 500, self.chain)
        while self.due:
            at, _, act = heapq.heappop(self.due)
            act(at)
            self.claim_all(at)
        return self.lines

    def say(self, at: float, name: str, **context: Any) -> None:
        self.write(at, name, context, None)

    def join(self, at: float, number: int) -> None:
        worker, (host, pid) = self.id(at), HOSTS[number]
        names = sorted(kind.name for kind in KINDS)
        context = {"worker": worker, "host": host, "pid": pid, "machine": f"{host}:1", "slots": 8}
        context["lease_ms"] = LEASE_MS if host == "draco" else LONG_LEASE_MS
        self.write(at, "worker.joined", {**context, "queues": None, "tasks": names}, worker, host)
        self.workers[worker] = context
        self.free[worker] = 3
        self.beat(at, worker)

    def beat(self, at: float, worker: str) -> None:
        if worker in self.free:
            if at > self.begin + 60:
                self.write(at, "worker.beat", {"worker": worker}, worker, self.workers[worker]["host"])
            self.later(at + (30 if at < self.now - 40 else 8), lambda then: self.beat(then, worker))

    def arrive(self, at: float, kind: Kind) -> None:
        args, kwargs = kind.arguments(self.chance)
        self.submit(at, kind, args, kwargs)
        share = 1 + 0.7 * ((at - self.begin) % 2_400 > 1_500)  # a busier part of the hour
        self.later(at + self.chance.expovariate(kind.per_minute * share / 60), lambda then: self.arrive(then, kind))

    def submit(self, at: float, kind: Kind, args: list[Any], kwargs: dict[str, Any], **more: Any) -> str:
        task = self.id(at)
        context = {"task": task, "task_name": kind.name, "queue": kind.queue, "args": args, "kwargs": kwargs}
        tags = ["vip"] if self.chance.random() < 0.06 else []
        self.write(
            at, "task.submitted", context | {"created_at": int(at * 1_000), "max_retries": 2, "tags": tags} | more, task
        )
        self.waiting.append((at, task, kind, 0))
        return task

    def plain(self, at: float, name: str, queue: str, args: list[Any]) -> None:
        """A task that no worker knows."""
        task = self.id(at)
        self.write(
            at,
            "task.submitted",
            {"task": task, "task_name": name, "queue": queue, "args": args, "created_at": int(at * 1_000)},
            task,
        )

    def claim_all(self, at: float) -> None:
        while self.waiting and (worker := next((each for each, free in self.free.items() if free), None)):
            _, task, kind, attempts = self.waiting.pop(0)
            begun = at + 0.004
            claim = self.write(
                begun, "task.claimed", {"task": task, "worker": worker}, task, self.workers[worker]["host"]
            )
            self.free[worker] -= 1
            ran = kind.seconds * self.chance.lognormvariate(0, 0.45)
            self.later(
                begun + ran,
                partial(self.settle, worker=worker, task=task, kind=kind, attempts=attempts, claim=claim, ran=ran),
            )
            self.free = dict(sorted(self.free.items(), key=lambda each: -each[1]))

    def settle(self, at: float, worker: str, task: str, kind: Kind, attempts: int, claim: int, ran: float) -> None:
        context = {"task": task, "worker": worker, "claim": claim, "ran_ms": round(ran * 1_000, 3)}
        host = self.workers[worker]["host"]
        if worker not in self.free:
            return
        self.free[worker] += 1
        if self.chance.random() >= kind.failing:
            self.write(at, "task.succeeded", context | {"result": {"ok": True}}, task, host)
            return
        error, text = kind.error
        place = f'  File "shop/{kind.queue}.py", line 41, in {kind.name}'
        trace = f"Traceback (most recent call last):\n{place}\n{error}: {text}"
        context |= {"exception": {"name": error, "text": text, "traceback": trace}}
        if attempts == 2 or error == "CardDeclined":
            self.write(at, "task.failed", context, task, host)
            return
        due = at + 4 * 2**attempts
        self.write(at, "task.retried", context | {"due": due}, task, host)
        self.later(due, lambda then: self.waiting.append((then, task, kind, attempts + 1)))

    def fall_silent(self, at: float) -> None:
        """One worker stops: two minutes later it expires, its tasks go to others, and its late outcome is refused."""
        silent = next(each for each in self.free if self.workers[each]["host"] == "draco")
        held = [
            line for line in self.lines if line["context"].get("worker") == silent and line["name"] == "task.claimed"
        ]
        ended = {line["context"].get("claim") for line in self.lines}
        lost = [line for line in held if int(line["position"][2:]) not in ended]
        if len(lost) < 2:  # it holds too little: a little later
            self.later(at + 1, self.fall_silent)
            return
        del self.free[silent]
        by = next(iter(self.free))

        def expire(then: float) -> None:
            self.write(
                then,
                "worker.expired",
                {"worker": silent, "last": self.last[silent], "by": by},
                silent,
                self.workers[by]["host"],
            )
            for line in lost:
                task = line["context"]["task"]
                said = next(
                    each["context"] for each in self.lines if each["name"] == "task.submitted" and each["key"] == task
                )
                kind = next(each for each in KINDS if each.name == said["task_name"])
                self.waiting.append((then, task, kind, 1))

        def wake(then: float) -> None:
            for line in lost:
                claim = int(line["position"][2:])
                self.write(
                    then,
                    "task.succeeded",
                    {
                        "task": line["key"],
                        "worker": silent,
                        "claim": claim,
                        "ran_ms": LATE_MS,
                        "result": {"ok": True},
                    },
                    line["key"],
                    "draco",
                )
            self.join(then + 1, 3)

        self.later(at + 120, expire)
        self.later(at + 150, wake)

    def chain(self, at: float) -> None:
        """Three tasks, each after the one before."""
        first, second, third = (self.id(at), *[None] * 2)
        links = [("collect_orders", "reports"), ("render_report", "reports"), ("send_receipt", "mail")]
        second, third = f"{first}@1", f"{first}@2"
        message = {"task_name": links[1][0], "queue": "reports", "args": [], "uuid": second, "max_retries": 3}
        message["callback_message_data"] = {
            "task_name": links[2][0],
            "queue": "mail",
            "args": [],
            "uuid": third,
            "max_retries": 3,
        }
        self.write(
            at,
            "task.submitted",
            {
                "task": first,
                "task_name": links[0][0],
                "queue": "reports",
                "args": ["2026-11"],
                "tags": ["monthly"],
                "summary": "the month's figures",
                "created_at": int(at * 1_000),
                "callback_message_data": message,
                "max_retries": 3,
            },
            first,
        )
        worker = next(iter(self.free))
        claim = self.write(
            at + 0.01, "task.claimed", {"task": first, "worker": worker}, first, self.workers[worker]["host"]
        )
        self.write(
            at + 2.4,
            "task.succeeded",
            {
                "task": first,
                "worker": worker,
                "claim": claim,
                "ran_ms": 2_390.0,
                "result": {"rows": 812},
                "next": second,
            },
            first,
            self.workers[worker]["host"],
        )
        self.write(
            at + 2.4,
            "task.submitted",
            {
                "task": second,
                "task_name": links[1][0],
                "queue": "reports",
                "args": [],
                "max_retries": 3,
                "created_at": int(at * 1_000) + 2_400,
                "previous_result": {"rows": 812},
                "previous_message_uuid": first,
                "progenitor_uuid": first,
                "after": claim,
                "callback_message_data": message["callback_message_data"],
            },
            first,
            self.workers[worker]["host"],
        )


def encoded(lines: list[dict[str, Any]]) -> Iterator[bytes]:
    """The events as lines of an export."""
    return (orjson.dumps(line) for line in lines)


def tell(url: str, now: float, *, wild: bool = True) -> list[dict[str, Any]]:
    """Write the story into an empty journal, with or without the task of a wild name; returns its events."""
    lines = Story(now, wild=wild).tell()
    # Times rise along the log: what happens at one moment keeps the order in which it was told.
    at = 0.0
    for line in lines:
        at = line["timestamp"] = max(line["timestamp"], round(at + 2e-6, 6))

    async def add() -> None:
        async with AsyncJournal(url) as journal:
            importer = Importer(journal, positional=lambda name: True)
            await importer.prepare()
            await importer.take(encoded(lines))
            assert importer.done.added == len(lines), importer.done

    # In a thread of its own: Playwright leaves a loop running in the thread of the tests.
    thread = threading.Thread(target=lambda: asyncio.run(add()))
    thread.start()
    thread.join()
    return lines


def lost_task(events: list[dict[str, Any]]) -> str:
    """The id of a task that a silent worker held: it ran again elsewhere, and its first outcome was refused."""
    return next(str(event["key"]) for event in events if event["context"].get("ran_ms") == LATE_MS)
