"""Tasks of a bakery, on a journal that no test may ever open: workbenches lend its brokers another one."""

import asyncio

import journeyman as jm

broker = jm.Broker("sqlite:////nowhere/at/all/bakery.db")
unnamed = jm.Broker()
baked: list[str] = []


@jm.task(broker)
def bake(bread: str, count: int = 1) -> str:
    baked.append(bread)
    return f"{count} × {bread}"


@jm.task(broker, max_retries=3, backoff=jm.ConstantBackoff(60_000, floor=0))
def deliver(message: jm.Message, successes_at: int = 99) -> int:
    if message.retries < successes_at:
        raise ConnectionError(f"the street is closed, attempt {message.retries + 1}")
    return message.retries


@jm.task(unnamed, queue="evening")
def order(breads: list[str]) -> list[str]:
    return [bake.generate([bread]).uuid for bread in breads]


@jm.task(broker, timeout=5_000, max_retries=0)
async def rise(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


@jm.task(broker, trigger=jm.CronTrigger(minute=0, timezone="UTC"))
def heat() -> None:
    baked.append("heat")
