"""The amount of work of a run."""

from typing import Final

import msgspec


class Size(msgspec.Struct, frozen=True):
    """Rounds and sizes: events, tasks and samples are counts of each round; `few_rounds` is for what takes long."""

    name: str
    rounds: int
    few_rounds: int
    lone_appends: int
    batches: int
    history_events: int
    short_history_events: int
    kafka_history_events: int
    backlog_tasks: int
    kafka_backlog_tasks: int
    latency_samples: int
    long_backlog_tasks: int
    waiting_tasks: int
    lookup_events: int
    chosen_ids: int
    schedules: int
    http_requests: int
    idle_seconds: float


FULL: Final = Size(
    name="full",
    rounds=5,
    few_rounds=3,
    lone_appends=400,
    batches=60,
    history_events=1_000_000,
    short_history_events=100_000,
    kafka_history_events=500_000,
    backlog_tasks=40_000,
    kafka_backlog_tasks=10_000,
    latency_samples=100,
    long_backlog_tasks=100_000,
    waiting_tasks=1_000_000,
    lookup_events=1_000_000,
    chosen_ids=1_000_000,
    schedules=1_000,
    http_requests=4_000,
    idle_seconds=5.0,
)
QUICK: Final = Size(
    name="quick",
    rounds=3,
    few_rounds=2,
    lone_appends=200,
    batches=20,
    history_events=200_000,
    short_history_events=20_000,
    kafka_history_events=100_000,
    backlog_tasks=20_000,
    kafka_backlog_tasks=5_000,
    latency_samples=40,
    long_backlog_tasks=50_000,
    waiting_tasks=200_000,
    lookup_events=200_000,
    chosen_ids=100_000,
    schedules=1_000,
    http_requests=1_600,
    idle_seconds=2.0,
)
# For what depends on the length of history: the look-ups take some ten minutes, and three gigabytes of disk.
LONG: Final = msgspec.structs.replace(FULL, name="long", lookup_events=10_000_000, chosen_ids=10_000_000)
# Shows that every figure can be measured; its numbers mean nothing.
TINY: Final = Size(
    name="tiny",
    rounds=1,
    few_rounds=1,
    lone_appends=5,
    batches=2,
    history_events=3_000,
    short_history_events=999,
    kafka_history_events=3_000,
    backlog_tasks=300,
    kafka_backlog_tasks=300,
    latency_samples=3,
    long_backlog_tasks=1_000,
    waiting_tasks=20_000,
    lookup_events=3_000,
    chosen_ids=2_000,
    schedules=5,
    http_requests=16,
    idle_seconds=0.2,
)
SIZES: Final = {size.name: size for size in (FULL, LONG, QUICK, TINY)}
