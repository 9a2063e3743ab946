"""The task of the guide's page on takeovers: its first worker never ends it, its second one does."""

import time

import journeyman as jm

broker = jm.Broker()


@jm.task(broker)
def bake(message: jm.Message) -> str:
    if message.retries == 0:
        time.sleep(3_600)
    return f"baked in attempt {message.retries + 1}"
