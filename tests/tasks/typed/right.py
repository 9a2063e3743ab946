"""User code without a type error."""

from datetime import timedelta

import journeyman as jm

broker = jm.Broker("memory://")


@jm.task(broker)
def send(address: str, copies: int = 1) -> str:
    return address * copies


@jm.task(broker, "count", timeout=timedelta(minutes=1))
async def count(*, limit: int, message: jm.Message) -> int:
    return limit


@jm.task(broker, trigger=jm.IntervalTrigger(hours=1), misfire="skip")
def clean() -> None:
    """Runs every hour."""


def submits() -> list[str]:
    messages = [
        send.submit("ada@shop.example"),
        send.submit("ada@shop.example", copies=2),
        send.options(delay=timedelta(hours=1), priority=3, queue="mail").submit("ada@shop.example", 2),
        send.generate(["ada@shop.example"], delay=1_000, ttl=timedelta(hours=2)),
        send.generate(["ada@shop.example"], callback=send.generate(submit=False)),
    ]
    broker.submit(jm.Message("send", args=["ada@shop.example"]), ttl=timedelta(hours=2))
    called: str = send("ada@shop.example")
    return [called, *(message.uuid for message in messages)]


async def submits_async() -> jm.Message:
    await send.options(priority=1).submit_async("ada@shop.example", copies=2)
    return await send.submit_async("ada@shop.example")
