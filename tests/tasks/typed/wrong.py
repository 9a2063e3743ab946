"""User code with the type errors that its remarks name: `error: CODE, …` at the line in which each is expected."""

import journeyman as jm

broker = jm.Broker("memory://")


@jm.task(broker)
def send(address: str, copies: int = 1) -> str:
    return address * copies


@jm.task(broker, prio=1)  # error: call-overload, untyped-decorator
def odd() -> None: ...


send.submit(7)  # error: arg-type
send.submit()  # error: call-arg
send.submit("ada@shop.example", copies="two")  # error: arg-type
send.submit("ada@shop.example", delay=1_000)  # error: call-arg
send.options(prio=1)  # error: call-arg
send.options(priority="high")  # error: arg-type
send.options(delay=1_000).submit(7)  # error: arg-type
send.generate(["ada@shop.example"], delay="soon")  # error: arg-type
number: int = send("ada@shop.example")  # error: assignment


async def submits() -> None:
    await send.submit_async(copies=2)  # error: call-arg
    await send.options(priority=1).submit_async("ada@shop.example", 2, 3)  # error: call-arg
