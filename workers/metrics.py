"""What a worker exports about itself, read off the counts that its loop and its journal keep anyhow."""

from collections.abc import Callable, Iterator
from typing import Any

from ..journal.async_journal import AsyncJournal
from ..journal.log import Counting
from ..tasks.metrics.exposition import build_info
from ..tasks.metrics.samples import append_samples, run_samples
from ..tasks.metrics.table import Distribution, Sample
from .settings import WorkerCounts

# Takes the facts of the health report.
Samples = Callable[[dict[str, Any]], list[Sample | Distribution]]


def samples_of(counts: WorkerCounts | None, journal: AsyncJournal) -> Samples:
    """Return the function that makes the samples of a health report; any thread may call it.

    `counts` are those of a worker; None for a process that runs no tasks.
    """

    def samples(facts: dict[str, Any]) -> list[Sample | Distribution]:
        found: list[Sample | Distribution] = [build_info(), *_health_samples(facts)]
        if counts is not None:
            found += run_samples(counts)
        log = journal.log
        return [*found, *append_samples(log.append_counts)] if isinstance(log, Counting) else found

    return samples


def _health_samples(facts: dict[str, Any]) -> Iterator[Sample]:
    yield Sample("journeyman_worker_healthy", (), facts["healthy"])
    if "claims" in facts:  # its loop works
        yield Sample("journeyman_worker_claims", (), facts["claims"])
        yield Sample("journeyman_worker_draining", (), facts["draining"])
    if "behind" in facts:  # the end of the journal has been read
        yield Sample("journeyman_tail_lag_events", (), facts["behind"])
