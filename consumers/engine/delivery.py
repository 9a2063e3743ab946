"""Run the thread that calls a callback with events."""

import threading
from collections.abc import Callable

from ...journal.deadlines import finite_or_negative


class Delivery:
    """Runs `work(delivery)` in a daemon thread once started; `work` ends soon after `ending` is true."""

    def __init__(self, name: str, work: "Callable[[Delivery], None]") -> None:
        self._ending = threading.Event()
        self.finished = False
        self._work = work
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def ending(self) -> bool:
        """Whether it must end."""
        return self._ending.is_set()

    def end_soon(self) -> None:
        """Request the end without waiting for it."""
        self._ending.set()

    def ends_within(self, seconds: float) -> bool:
        """Wait for `seconds` or until it must end; whether it must."""
        return self._ending.wait(seconds)

    def start(self) -> None:
        """Start the thread; call after this delivery is stored, as callbacks may replace or restart it."""
        self._thread.start()

    def _run(self) -> None:
        self._work(self)
        self.finished = True

    def end(self) -> None:
        """Request the end and wait until a running callback has returned; called in that callback, do not wait."""
        self._ending.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def join(self, timeout: float) -> bool:
        """Wait for the thread, at most `timeout` seconds (negative: for ever); whether it has ended."""
        self._thread.join(finite_or_negative(timeout))
        return not self._thread.is_alive()
