"""The life of an event and of a task, step by step: each with the function that does it. ARCHITECTURE.md tells both."""

from collections.abc import Sequence
from typing import Final, NamedTuple


class Step(NamedTuple):
    """One step: the process that takes it, what it does, and where: a function or method of a module of the package."""

    actor: str
    what: str
    module: str
    function: str


_CALLER: Final = "the caller"
_READER: Final = "a reader"
_WORKER: Final = "a worker"
_THREAD: Final = "its thread"

EVENT: Final[Sequence[Step]] = (
    Step(_CALLER, "appends: name, context, key", "journal/journal.py", "Journal.append"),
    Step(_CALLER, "encodes the context; a draft", "journal/event.py", "encode_context"),
    Step(_CALLER, "checks the name and the size", "journal/sqlite/log.py", "SqliteLog.try_append"),
    Step(_CALLER, "takes both locks, alone or for a group", "journal/sqlite/commit.py", "Committer.try_commit"),
    Step(_CALLER, "inserts and commits the record: fsync", "journal/sqlite/insert.py", "Inserter.insert_next"),
    Step(_CALLER, "gives it number, time and position", "journal/writer.py", "Writer.record_one"),
    Step(_CALLER, "notifies the listeners; returns the event", "journal/sqlite/notifier.py", "Notifier.notify"),
    Step(_READER, "wakes up with the record or the log's end", "journal/sqlite/tail.py", "SqliteTail.page"),
    Step(_READER, "leaves the page for all readers", "journal/tails/shared_tail.py", "SharedTail.lead"),
    Step(_READER, "takes the next page of its own place", "consumers/engine/reader.py", "TailReader.page"),
    Step(_READER, "history, sentinel, then live", "consumers/engine/stream.py", "Stream.next_batch"),
    Step(_READER, "decodes and selects events", "consumers/engine/transform.py", "Transformer.shape"),
    Step(_READER, "hands out one by one", "consumers/consumer.py", "JournalConsumer.poll"),
)

TASK: Final[Sequence[Step]] = (
    Step(_CALLER, "makes a message", "tasks/definition.py", "Task.generate"),
    Step(_CALLER, "appends task.submitted", "tasks/broker.py", "Broker.submit"),
    Step(_WORKER, "reads it", "workers/loop/reader.py", "JournalReader.apply"),
    Step(_WORKER, "applies it to the state", "tasks/state/fold.py", "TaskFold.apply_fact"),
    Step(_WORKER, "files the task among the ready ones", "workers/scheduling/ready_queue.py", "ReadyTasks.add"),
    Step(_WORKER, "decides to claim it", "workers/scheduling/decide.py", "decide"),
    Step(_WORKER, "drafts task.claimed", "workers/loop/drafts.py", "entries_of"),
    Step(_WORKER, "appends and applies; first in the log wins", "workers/loop/appender.py", "Appender.append"),
    Step(_WORKER, "starts what it has won", "workers/loop/claimed.py", "ClaimedTasks.start"),
    Step(_THREAD, "takes the job", "workers/executors/threads.py", "ThreadExecutor._work"),
    Step(_THREAD, "decodes the message, calls the function", "workers/executors/pipeline.py", "execute"),
    Step(_WORKER, "collects the outcome", "workers/loop/lane.py", "Lane.outcomes"),
    Step(_WORKER, "drafts task.succeeded with the token", "workers/loop/drafts.py", "outcome_entries"),
    Step(_WORKER, "appends it; accepted while the token is current", "tasks/state/fold.py", "TaskFold.apply_fact"),
    Step(_CALLER, "finds the result", "tasks/results.py", "ResultStore.get"),
)
