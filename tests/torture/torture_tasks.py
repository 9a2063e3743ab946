"""The tasks of the torture test: short work, long work, work that fails, work under locks, chains and schedules."""

import os
import time

import journeyman as jm

broker = jm.Broker()
AT_ONCE = jm.ConstantBackoff(20, floor=0)
RETRIES = 1_000  # a worker that is killed uses up an attempt of whatever it held: only `broken` is to fail


@jm.task(broker, max_retries=RETRIES, backoff=AT_ONCE)
def work(milliseconds: float) -> float:
    time.sleep(milliseconds / 1_000)
    return milliseconds


@jm.task(broker, max_retries=RETRIES, backoff=AT_ONCE)
def wobbly(message: jm.Message, failures: int) -> int:
    if message.retries < failures:
        raise RuntimeError(f"attempt {message.retries + 1} of {failures + 1}")
    return failures


@jm.task(broker, max_retries=0)
def broken() -> None:
    raise ValueError("this one always fails")


@jm.task(broker, max_retries=RETRIES, backoff=AT_ONCE)
def guarded(lock: str, capacity: int, milliseconds: float, lease_seconds: float) -> bool:
    """Use a lock for so long, and say so in the journal, under the key of the lock."""
    journal = broker.journal
    with jm.Semaphore(lock, journal, capacity, lease_seconds=lease_seconds) as hold:
        while not hold.acquire(wait=lease_seconds):
            pass  # it goes to the end of the line: requests are withdrawn, too
        said = {"lock": lock, "token": hold.token, "capacity": capacity, "pid": os.getpid()}
        if said["token"] is None:
            raise RuntimeError("the process stood still, and has lost the lock before it could use it")
        journal.append("hold.begun", said, key=lock)
        time.sleep(milliseconds / 1_000)
        journal.append("hold.ended", said, key=lock)
    return True


@jm.task(broker, max_retries=RETRIES, backoff=AT_ONCE)
def step(message: jm.Message, milliseconds: float) -> int:
    """A link of a chain: how many there are with it."""
    time.sleep(milliseconds / 1_000)
    return 1 + int(message.previous_result or 0)


@jm.task(
    broker,
    trigger=jm.IntervalTrigger(seconds=0.25),
    misfire="run_all",
    max_retries=RETRIES,
    backoff=AT_ONCE,
)
def tick() -> None:
    """Run at each tick of a schedule that the workers fire."""
