"""Calls without I/O (sans-I/O): generators that yield requests and pauses, and receive the answers.

A transport, blocking or asynchronous, performs each step. So every rule of the protocol is written once, for both.
"""

from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import Any, Final, NamedTuple, TypeVar

from .errors import NetworkError
from .limits import REPEAT_SECONDS, REPEAT_SECONDS_MAX, REPEATS_MAX, RETRY_AFTER_SECONDS_MAX

T = TypeVar("T")
NO_BODY: Final = object()
_BUSY: Final = 429
_AWAY: Final = (502, 503, 504)


class Request(NamedTuple):
    """A request, by its path below the base URL.

    - `repeatable`: whether it may be sent again when it is not known whether it has arrived.
    - `wait`: how long the server is asked to wait before it answers, in seconds.
    """

    method: str
    path: str
    body: Any = NO_BODY
    headers: Mapping[str, str] = {}
    repeatable: bool = True
    wait: float = 0.0


class Answer(NamedTuple):
    """An answer: `body` is its decoded JSON, None if it has none; the names of headers are in lower case."""

    status: int
    body: Any
    headers: Mapping[str, str]
    text: str = ""


class Pause(NamedTuple):
    """A wait of so many seconds."""

    seconds: float


Call = Generator[Any, Any, T]


def ask(request: Request) -> Call[Answer]:
    """Return the answer to a request, sent again, after a pause, where that is safe.

    Safe is what did not reach the server, what it has refused as too much, and what has the same effect twice.
    """
    for attempt in range(REPEATS_MAX + 1):
        is_last = attempt == REPEATS_MAX
        pause = min(REPEAT_SECONDS * 2**attempt, REPEAT_SECONDS_MAX)
        try:
            answer: Answer = yield request
        except NetworkError as error:
            if is_last or not (request.repeatable or not error.was_sent):
                raise
        else:
            is_refused = answer.status == _BUSY or (request.repeatable and answer.status in _AWAY)
            if is_last or not is_refused:
                return answer
            pause = max(pause, _asked_pause(answer))
        yield Pause(pause)
    raise AssertionError("the last attempt returns or raises")


def _asked_pause(answer: Answer) -> float:
    """Return the seconds for which a server asks by `Retry-After`; 0 if it does not, or names a date."""
    text = answer.headers.get("retry-after", "")
    return min(float(text), RETRY_AFTER_SECONDS_MAX) if text.isascii() and text.isdigit() else 0.0


def drive(call: Call[T], perform: Callable[[Any], Any]) -> T:
    """Return what a call returns; `perform` carries out each of its steps."""
    try:
        step = next(call)
        while True:
            try:
                done = perform(step)
            except BaseException as error:
                step = call.throw(error)
            else:
                step = call.send(done)
    except StopIteration as end:
        result: T = end.value
        return result


async def drive_async(call: Call[T], perform: Callable[[Any], Awaitable[Any]]) -> T:
    """Return what a call returns; `perform` carries out each of its steps, awaited."""
    try:
        step = next(call)
        while True:
            try:
                done = await perform(step)
            except BaseException as error:
                step = call.throw(error)
            else:
                step = call.send(done)
    except StopIteration as end:
        result: T = end.value
        return result
