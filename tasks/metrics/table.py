"""The table of all metrics: a name, its type, labels, unit, meaning, and which processes export it. Pure.

`docs/metrics.md` shows it, and nothing is exported that is not in it. `JOURNAL` metrics are about the journal as a
whole: every service says the same about it, so take the `max` over services. All others are about one process: take
the `sum`.
"""

from enum import Enum
from typing import Final, Literal, NamedTuple

Kind = Literal["counter", "gauge", "histogram"]


class Exporter(Enum):
    """Which processes export a metric."""

    JOURNAL = "service: the journal"
    SERVICE = "service: itself"
    WORKER = "worker: itself"
    BOTH = "service and worker: itself"


class Metric(NamedTuple):
    """One metric. `unit` is what its value counts; `help` is its meaning in one sentence."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    unit: str
    exporter: Exporter
    help: str


_JOURNAL, _SERVICE, _WORKER, _BOTH = Exporter.JOURNAL, Exporter.SERVICE, Exporter.WORKER, Exporter.BOTH
_QUEUE: Final = ("queue",)

METRICS: Final = (
    Metric(
        "journeyman_queue_depth", "gauge", ("queue", "state"), "tasks", _JOURNAL,
        "Tasks of a queue that are ready, delayed, claimed or dead.",
    ),
    Metric(
        "journeyman_queue_oldest_seconds", "gauge", _QUEUE, "s", _JOURNAL,
        "How long the oldest ready task of a queue has been ready; 0 if none is.",
    ),
    Metric(
        "journeyman_queue_workers", "gauge", _QUEUE, "workers", _JOURNAL,
        "Live workers that serve a queue.",
    ),
    Metric(
        "journeyman_queue_orphans", "gauge", _QUEUE, "tasks", _JOURNAL,
        "Waiting tasks of a queue that no live worker can run; 0 while there is no worker at all.",
    ),
    Metric(
        "journeyman_queue_paused", "gauge", _QUEUE, "", _JOURNAL,
        "1 if a queue is paused, else 0.",
    ),
    Metric(
        "journeyman_workers", "gauge", (), "workers", _JOURNAL,
        "Live workers: those whose session is open.",
    ),
    Metric(
        "journeyman_tasks_submitted_total", "counter", (), "tasks", _JOURNAL,
        "Tasks that were submitted and accepted.",
    ),
    Metric(
        "journeyman_tasks_ended_total", "counter", ("kind",), "tasks", _JOURNAL,
        "Tasks that have succeeded or were revoked. Those that failed for good are dead letters.",
    ),
    Metric(
        "journeyman_dead_letters", "gauge", (), "tasks", _JOURNAL,
        "Tasks that have failed for good and were neither requeued nor purged.",
    ),
    Metric(
        "journeyman_tasks_refused_total", "counter", ("kind",), "events", _JOURNAL,
        "Claims that lost against an earlier one, and outcomes under a token that was no longer current.",
    ),
    Metric(
        "journeyman_takeovers_total", "counter", (), "claims", _JOURNAL,
        "Claims of tasks whose former worker had been silent for its lease.",
    ),
    Metric(
        "journeyman_unreadable_total", "counter", (), "events", _JOURNAL,
        "Records that are no event, or that name no task or worker.",
    ),
    Metric(
        "journeyman_schedules", "gauge", ("state",), "schedules", _JOURNAL,
        "Schedules that are active or paused.",
    ),
    Metric(
        "journeyman_schedules_overdue_seconds", "gauge", (), "s", _JOURNAL,
        "How long the longest overdue tick of a schedule has been due without being fired; 0 if none is.",
    ),
    Metric(
        "journeyman_replica_current", "gauge", (), "", _SERVICE,
        "1 if the metrics of the journal speak up to its present end; else 0, and they are left out.",
    ),
    Metric(
        "journeyman_readers", "gauge", (), "readers", _SERVICE,
        "Readers that follow the journal in this process.",
    ),
    Metric(
        "journeyman_request_seconds", "histogram", ("route", "method", "status"), "s", _SERVICE,
        "The time from a request to the end of its answer; streams are left out.",
    ),
    Metric(
        "journeyman_requests_running", "gauge", (), "requests", _SERVICE,
        "Requests that are being answered, streams among them.",
    ),
    Metric(
        "journeyman_response_bytes_total", "counter", ("route",), "bytes", _SERVICE,
        "Bytes of the bodies of answers, streams among them.",
    ),
    Metric(
        "journeyman_claims_total", "counter", (), "claims", _BOTH,
        "Claims that were accepted: of this worker, or of remote ones.",
    ),
    Metric(
        "journeyman_outcomes_total", "counter", ("kind",), "runs", _BOTH,
        "Runs that succeeded, failed for good, or were interrupted and given back: of this worker, or of remote ones.",
    ),
    Metric(
        "journeyman_retries_total", "counter", (), "runs", _BOTH,
        "Runs that have failed and are tried again: of this worker, or of remote ones.",
    ),
    Metric(
        "journeyman_refused_total", "counter", ("kind",), "events", _BOTH,
        "Claims and outcomes that were refused: of this worker, or of remote ones.",
    ),
    Metric(
        "journeyman_expiries_total", "counter", (), "sessions", _BOTH,
        "Silent sessions of other workers that this process has reported as expired.",
    ),
    Metric(
        "journeyman_worker_claims", "gauge", (), "tasks", _WORKER,
        "Tasks that this worker holds now.",
    ),
    Metric(
        "journeyman_worker_healthy", "gauge", (), "", _WORKER,
        "1 if this worker makes progress, else 0: what its health report says.",
    ),
    Metric(
        "journeyman_worker_draining", "gauge", (), "", _WORKER,
        "1 if this worker claims nothing more, since it was told to stop; else 0.",
    ),
    Metric(
        "journeyman_tail_lag_events", "gauge", (), "events", _BOTH,
        "Events at the end of the journal that this process has still to apply.",
    ),
    Metric(
        "journeyman_appends_total", "counter", (), "appends", _BOTH,
        "Appends of this process that were acknowledged.",
    ),
    Metric(
        "journeyman_appended_events_total", "counter", (), "events", _BOTH,
        "Events that this process has appended.",
    ),
    Metric(
        "journeyman_append_bytes_total", "counter", (), "bytes", _BOTH,
        "Encoded bytes of the events that this process has appended.",
    ),
    Metric(
        "journeyman_commit_seconds", "histogram", (), "s", _BOTH,
        "The time of one commit: a transaction of a file or a record batch of Kafka, which appends share.",
    ),
    Metric(
        "journeyman_build_info", "gauge", ("version",), "", _BOTH,
        "1, with the version of Journeyman.",
    ),
)  # fmt: skip

# What the client library itself exports about a process, on Linux.
PROCESS_METRICS: Final = (
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_virtual_memory_bytes",
)

BY_NAME: Final = {metric.name: metric for metric in METRICS}


class Sample(NamedTuple):
    """The value of a metric for some labels, in the order of its table's."""

    name: str
    labels: tuple[str, ...]
    value: float


class Distribution(NamedTuple):
    """A histogram: how many observations lie in each class, and their sum.

    `bounds` are the upper bounds of the classes; `counts` has one more, for the observations beyond the last bound.
    """

    name: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float
