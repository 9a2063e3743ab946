"""Sends mails."""

import journeyman as jm

broker = jm.Broker()


@jm.task(broker)
def send(to: str) -> str:
    return f"mail to {to}"


@jm.task(broker, name="shared")
def given(to: str) -> str:
    return f"mail to {to}"
