"""The tasks of the torture test: short work, long work, work that fails, work that fails at first."""

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
