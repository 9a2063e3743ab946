"""The list of measurements."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from journeyman.bench import (
    appends,
    chains,
    drain,
    fan_out,
    first_paint,
    http,
    ids,
    kafka,
    keeping_up,
    latency,
    live,
    locks,
    lookups,
    middleware,
    replay,
    schedules,
    service_queues,
    services,
    stream,
    terminal,
    together,
    tracked,
    waiting,
    workforce,
)
from journeyman.bench.context import Bench
from journeyman.bench.figure import Figure


class Measurement(NamedTuple):
    """One measurement: it gives one or several figures."""

    name: str
    summary: str
    measure: Callable[[Bench], list[Figure]]


MEASUREMENTS: Final = (
    Measurement("append-one", "durable appends one by one, beside raw SQLite commits", appends.one_by_one),
    Measurement("append-batch", "appends in batches of 1,000, beside raw SQLite batches", appends.in_batches),
    Measurement("chosen-ids", "submissions under chosen ids, beside ids that are not looked for", ids.chosen),
    Measurement("lock", "acquire and release of a free lock, beside two lone appends", locks.uncontended),
    Measurement("replay", "replay by iteration and through the task view, beside scan and decode", replay.embedded),
    Measurement("drain", "no-op tasks from a backlog, beside the same rows by hand", drain.embedded),
    Measurement("latency", "submit to result, idle, beside 3 fsyncs and 3 wake-ups", latency.embedded),
    Measurement("chain", "ten links of a chain, beside ten single tasks", chains.embedded),
    Measurement("schedules", "how late ticks are fired, beside an event loop's timers", schedules.embedded),
    Measurement("live", "commit to callback in another process, beside a rung reader", live.embedded),
    Measurement("together", "twenty live consumers of a process, beside twenty that share nothing", together.embedded),
    Measurement("fan-out", "a live event at 500 readers of a service, beside a bare Litestar stream", fan_out.embedded),
    Measurement("mechanisms", "no-op tasks by coroutines, threads and processes", workforce.mechanisms),
    Measurement("keeping-up", "a worker beside a submitter: whether the queue stays empty", keeping_up.embedded),
    Measurement("stream", "tasks handed in one by one, beside a submitter without a worker", stream.embedded),
    Measurement("rivals", "two workers on one backlog, beside one", workforce.rivals),
    Measurement("backlog", "how a worker starts on a long backlog, and whether its tasks cost more", workforce.backlog),
    Measurement("waiting", "memory of a waiting task, beside a dictionary of ids and positions", waiting.memory),
    Measurement("lookup", "status, result and history of any task, by the index; making it", lookups.embedded),
    Measurement("middleware", "what recording adds to a request, beside the bare application", middleware.asgi),
    Measurement("endurance", "memory of a worker that goes on and on", workforce.endurance),
    Measurement("idle", "what a worker without work costs", workforce.idle),
    Measurement("service-queues", "GET /queues over HTTP, beside a bare Litestar route", service_queues.embedded),
    Measurement(
        "service-jobs", "jobs of a service over HTTP, and its idle queue, beside a bare route", services.embedded
    ),
    Measurement("tracker", "/tracker with many active requests, beside a bare route; its memory", tracked.embedded),
    Measurement("first-paint", "the page in a browser with a long backlog, beside a bare route", first_paint.embedded),
    Measurement("top", "what the terminal screen costs while nothing happens", terminal.idle),
    Measurement("takeover", "how soon a killed worker's task is claimed by another", workforce.takeover),
    Measurement("http-append-one", "appends over HTTP one by one, beside the journal in this process", http.one_by_one),
    Measurement("http-append-batch", "appends over HTTP in batches, beside the same in this process", http.in_batches),
    Measurement("http-replay", "replay over HTTP by iteration, beside the same on the file", http.replay),
    Measurement("http-worker", "no-op tasks from a backlog over HTTP, beside a worker on the file", http.worker),
    Measurement("kafka-replay", "replay by iteration, beside raw getmany and decode", kafka.replay_history),
    Measurement("kafka-append-batch", "appends in batches of 1,000, beside raw send_batch", kafka.append_batches),
    Measurement("kafka-drain", "no-op tasks from a backlog, beside the same records by hand", kafka.drain_backlog),
    Measurement("kafka-latency", "submit to result, idle, beside the same steps with raw records", kafka.idle_latency),
    Measurement("kafka-stream", "tasks handed in one by one, beside a submitter without a worker", stream.kafka),
    Measurement("kafka-live", "append to callback in another process, beside a raw tail", live.kafka),
    Measurement("kafka-together", "twenty live consumers, beside twenty that share nothing", together.kafka),
    Measurement("kafka-lookup", "status, result and history of any task of a topic", lookups.kafka),
    Measurement("kafka-merge", "replay of 8 partitions in time order, beside one partition", kafka.merged_replay),
)


def chosen(names: Sequence[str]) -> list[Measurement]:
    """The measurements whose names are, or begin with, one of `names`; all if there are none. `ValueError` else."""
    if not names:
        return list(MEASUREMENTS)
    for name in names:
        if not any(_covers(name, each) for each in MEASUREMENTS):
            known = ", ".join(each.name for each in MEASUREMENTS)
            raise ValueError(f"there is no measurement {name!r}; there are: {known}")
    return [each for each in MEASUREMENTS if any(_covers(name, each) for name in names)]


def _covers(name: str, measurement: Measurement) -> bool:
    return measurement.name == name or measurement.name.startswith(f"{name}-")
