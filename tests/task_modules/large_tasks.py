"""Tasks with large results, in threads, coroutines and child processes."""

from typing import Any

import journeyman as jm

broker = jm.Broker("memory://large", large_results="split")


def text_of(size: int) -> str:
    """A text of that many characters, of one, two and four bytes, with quotation marks, which JSON writes as two."""
    return ('ab"é😀\\' * (size // 6 + 1))[:size]


@jm.task(broker, max_retries=0)
def in_thread(size: int) -> str:
    return text_of(size)


@jm.task(broker, max_retries=0)
async def in_loop(size: int) -> list[str]:
    return [text_of(size), "end"]


@jm.task(broker, max_retries=0, mechanism="process")
def in_child(size: int) -> str:
    return text_of(size)


@jm.task(broker, max_retries=0, serializer=jm.BinarySerializer)
def pickled(size: int) -> set[str]:
    return {text_of(size)}


@jm.task(broker, max_retries=0, serializer=jm.MsgspecSerializer)
def as_bytes(size: int) -> bytes:
    return b"\xff" * size


@jm.task(broker, max_retries=0, large_results="refuse")
def refused(size: int) -> str:
    return text_of(size)


TASKS: list[jm.Task[..., Any]] = [in_thread, in_loop, in_child, pickled, as_bytes, refused]
