"""The thread that hands events to a callback."""

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
        """Whether it is to end."""
        return self._ending.is_set()

    def end_soon(self) -> None:
        """Have it end, without a wait."""
        self._ending.set()

    def ends_within(self, seconds: float) -> bool:
        """Wait so long, or until it is to end, and say whether it is."""
        return self._ending.wait(seconds)

    def start(self) -> None:
        """Start the thread: only when the callbacks can find this delivery, for they may set another or start anew."""
        self._thread.start()

    def _run(self) -> None:
        self._work(self)
        self.finished = True

    def end(self) -> None:
        """Have it end, and wait until a callback that is running has returned; in that callback, do not wait."""
        self._ending.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def join(self, timeout: float) -> bool:
        """Wait for it, at most `timeout` seconds (negative: for ever); say whether it has ended."""
        self._thread.join(finite_or_negative(timeout))
        return not self._thread.is_alive()
