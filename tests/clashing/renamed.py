"""The mails' new module: the function has moved and was renamed, and another one was renamed here."""

import journeyman as jm

broker = jm.Broker()


@jm.task(broker, aliases=["clashing.mail:send"])
def deliver(to: str) -> str:
    return f"new mail to {to}"


@jm.task(broker, mechanism="process", aliases=["remind"])
def nudge(to: str) -> str:
    return f"nudged {to}"
