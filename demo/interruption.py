"""Turn signals into an exception, so that the demonstration leaves no process behind."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any, Final, Self

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(KeyboardInterrupt):
    """A signal asked the demonstration to end; `exit_status` is the one shells expect then."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_status = 128 + number


class Interruption:
    """Turns the first of SIGINT, SIGTERM and SIGHUP into `Stopped` in the main thread; later ones are only noted.

    So the clean-up after the first is not interrupted. Inside `deferred()` the exception waits for the block's end.
    """

    def __init__(self) -> None:
        self._received: int | None = None
        self._raised = False
        self._deferring = 0
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # such as SIGHUP under nohup: not meant for us
                self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """Defer interruptions to the end of the block, so that a started process is recorded first."""
        self._deferring += 1
        try:
            yield
        finally:
            self._deferring -= 1
        self._raise()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._received is None:
            self._received = number
        self._raise()

    def _raise(self) -> None:
        if self._received is not None and not self._raised and not self._deferring:
            self._raised = True
            raise Stopped(self._received)
