"""Services and listeners that the tests of the TopChef client share."""

import threading
from typing import Any

from journeyman.topchef import AsyncServiceListener, Client, Service, ServiceListener

PARAMETERS = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
RESULT = {"type": "object", "properties": {"square": {"type": "integer"}}, "required": ["square"]}
DONE_SECONDS = 60.0


class Squares(ServiceListener):
    """Squares `n`; fails at a negative one, and returns a text where `n` is 13."""

    def run(self, parameters: Any) -> Any:
        n = parameters["n"]
        if n < 0:
            raise ArithmeticError(f"{n} is negative")
        return {"square": "unlucky"} if n == 13 else {"square": n * n}


class AsyncSquares(AsyncServiceListener):
    """As `Squares`, a coroutine."""

    async def run(self, parameters: Any) -> Any:
        n = parameters["n"]
        if n < 0:
            raise ArithmeticError(f"{n} is negative")
        return {"square": n * n}


class Blocked(ServiceListener):
    """Runs a job for as long as the test wants: `began` is set in it, it waits for `go`, and may have an `answer`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.began = threading.Event()
        self.go = threading.Event()
        self.answer: dict[str, int] | None = None

    def run(self, parameters: Any) -> Any:
        self.began.set()
        assert self.go.wait(DONE_SECONDS)
        return {"square": parameters["n"] ** 2} if self.answer is None else self.answer


def new_service(base: str, name: str = "squares") -> Service:
    """A service of its own for a test."""
    return Client(base).new_service(name, "squares n", PARAMETERS, RESULT)
