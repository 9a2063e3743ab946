"""The outages of a journal as a client sees them: the pauses of a probe that appends all the time."""

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import journeyman as jm

PROBE_SECONDS = 0.05
OUTAGE_SECONDS = 0.5  # a longer pause between two acknowledgements is an outage


@dataclass(frozen=True)
class Outage:
    """From the last acknowledgement before it to the first one after it, in seconds since the epoch."""

    begun: float
    ended: float


def seconds_away(outages: Iterable[Outage], begun: float, ended: float) -> float:
    """How long the journal was away between two moments."""
    return sum(max(0.0, min(each.ended, ended) - max(each.begun, begun)) for each in outages)


class OutageProbe:
    """Appends `probe.written` to the journal at `url` while it is entered, and notes each outage."""

    def __init__(self, url: str) -> None:
        self.outages: list[Outage] = []
        self._url = url
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        with jm.Journal(self._url) as journal:
            acknowledged = time.time()
            while not self._over.wait(PROBE_SECONDS):
                try:
                    journal.append("probe.written", {})
                except jm.JournalError:
                    continue
                now = time.time()
                if now - acknowledged > OUTAGE_SECONDS:
                    self.outages.append(Outage(acknowledged, now))
                acknowledged = now
