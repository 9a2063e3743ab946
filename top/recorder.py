"""Record requests without slowing them: a bounded buffer that a thread drains.

A request puts two entries into the buffer, its start and its end, and waits for nothing. If the tracker is away for so
long that the buffer is full, new requests are dropped and counted, and the log says so; no request fails.
"""

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from ..journal.runtime.exits import at_exit
from ..journal.runtime.forks import reset_after_fork
from .http_task import HTTPTask
from .limits import (
    BUFFER_EVENTS_MAX,
    RECORD_BATCH_EVENTS,
    RECORD_EXIT_SECONDS,
    RECORD_PAUSE_SECONDS,
    RECORD_RETRY_SECONDS,
    RECORD_RETRY_SECONDS_MAX,
)

logger = logging.getLogger(__name__)


class Entry(NamedTuple):
    """The start of a request, or its end (`ends`); `make` returns its task, and is called by the recorder's thread."""

    ends: bool
    make: Callable[[], HTTPTask]


class Sink(Protocol):
    """What takes the entries: a tracker."""

    def record(self, entries: Sequence[Entry]) -> None:
        """Write the entries in their order; repeating the call after an error doubles none."""


class Recorder:
    """Puts entries into a buffer; a thread, started with the first one, hands them to `sink`."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.dropped = 0
        self._reported = 0
        self._ids = itertools.count(1)
        self._begin()
        reset_after_fork(self)
        at_exit(self.close)

    def _begin(self) -> None:
        self._buffer: deque[Entry] = deque()
        self._guard = threading.Lock()
        self._wake = threading.Event()
        self._written = threading.Condition(self._guard)
        self._taken = 0
        self._thread: threading.Thread | None = None
        self._closed = False

    def after_fork_in_child(self) -> None:
        """Begin with an empty buffer and no thread: the parent writes the entries that it holds."""
        self._begin()

    def next_id(self) -> int:
        """Return a number that no other request of this recorder has."""
        return next(self._ids)

    def start(self, make: Callable[[], HTTPTask]) -> bool:
        """Put the start of a request into the buffer; return False if it was dropped: then its end is not recorded."""
        if len(self._buffer) >= BUFFER_EVENTS_MAX or self._closed:
            self.dropped += 1
            return False
        self._put(Entry(ends=False, make=make))
        return True

    def end(self, make: Callable[[], HTTPTask]) -> None:
        """Put the end of a request into the buffer; its room was reserved by its start."""
        self._put(Entry(ends=True, make=make))

    def _put(self, entry: Entry) -> None:
        self._buffer.append(entry)
        if self._thread is None:
            self._start_thread()
        if not self._wake.is_set():
            self._wake.set()

    def _start_thread(self) -> None:
        with self._guard:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._drain, name="journeyman-requests", daemon=True)
                self._thread.start()

    def _drain(self) -> None:
        while not self._closed or self._buffer:
            self._wake.wait()
            if not self._closed:
                time.sleep(RECORD_PAUSE_SECONDS)  # others may come: they share the append
            self._wake.clear()
            while batch := self._next_batch():
                self._write(batch)

    def _next_batch(self) -> list[Entry]:
        batch = [self._buffer.popleft() for _ in range(min(len(self._buffer), RECORD_BATCH_EVENTS))]
        self._taken = len(batch)
        return batch

    def _write(self, batch: list[Entry]) -> None:
        pause = RECORD_RETRY_SECONDS
        while True:
            try:
                self._sink.record(batch)
                break
            except Exception as error:  # no error of the tracker fails a request
                logger.warning("requests are not recorded at present: %s", error)
                if self._closed:
                    self.dropped += len(batch)
                    break
            time.sleep(pause)
            pause = min(2 * pause, RECORD_RETRY_SECONDS_MAX)
        if self.dropped > self._reported:
            logger.warning("%d requests were not recorded: the buffer was full", self.dropped - self._reported)
            self._reported = self.dropped
        with self._written:
            self._taken = 0
            self._written.notify_all()

    def flush(self, timeout: float = RECORD_EXIT_SECONDS) -> bool:
        """Wait until all entries are written, at most `timeout` seconds; return whether they are."""
        self._wake.set()
        with self._written:
            return self._written.wait_for(lambda: not self._buffer and not self._taken, timeout)

    def close(self) -> None:
        """Write what is left, for at most `RECORD_EXIT_SECONDS`, and end the thread."""
        if self._thread is not None and not self._closed:
            self.flush()
        self._closed = True
        self._wake.set()
