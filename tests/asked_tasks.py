"""Tasks whose results, failures and statuses are asked for, from synchronous and asynchronous code."""

import time

import journeyman as jm

broker = jm.Broker()


@jm.task(broker, max_retries=0)
def add(left: int, right: int) -> int:
    return left + right


@jm.task(broker, max_retries=0)
def refuse(order: int) -> None:
    raise ValueError(f"order {order} is unknown")


@jm.task(broker, max_retries=0)
def hold() -> None:
    time.sleep(60)
