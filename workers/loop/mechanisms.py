"""Make the executor for each mechanism, as the settings of the worker say."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ...tasks.definition import Task
from ..executors import Bounds, CoroutineExecutor, Executor, ProcessExecutor, ThreadExecutor, ThreadGroupExecutor
from ..executors.children.process import Journals
from ..executors.pipeline import Outcome
from ..settings import Settings


class Connections(NamedTuple):
    """What joins an executor to its worker loop.

    It calls `wake` in the event loop and `wake_from_thread` in any thread, when there are outcomes to collect. A thread
    gives the outcome of a lone job to `write_alone`. Child processes open the `journals`.
    """

    wake: Callable[[], None]
    wake_from_thread: Callable[[], None]
    write_alone: Callable[[Outcome], None]
    journals: Journals


def executor_for(
    mechanism: str, tasks: Mapping[str, Task[Any, Any]], settings: Settings, connections: Connections
) -> Executor:
    """Return an executor that runs `tasks`, which have this mechanism: `async`, `thread` or `process`."""
    makers = {"async": _coroutines, "thread": _threads, "process": _processes}
    return makers[mechanism](tasks, settings, connections)


def _coroutines(tasks: Mapping[str, Task[Any, Any]], settings: Settings, connections: Connections) -> Executor:
    return CoroutineExecutor(settings.coroutines, tasks, connections.wake)


def _threads(tasks: Mapping[str, Task[Any, Any]], settings: Settings, connections: Connections) -> Executor:
    """Return the executor for threads: in this process, or in groups in child processes."""
    abandon = settings.abandon_threads
    if not settings.thread_processes:
        return ThreadExecutor(
            settings.threads, tasks, connections.wake_from_thread, connections.write_alone, abandon=abandon
        )
    return ThreadGroupExecutor(
        Bounds(settings.threads, settings.process_floor, settings.thread_processes),
        tasks,
        connections.wake,
        abandon=abandon,
        enforce_ms=settings.enforce_ms,
        journals=connections.journals,
    )


def _processes(tasks: Mapping[str, Task[Any, Any]], settings: Settings, connections: Connections) -> Executor:
    floor, journals = settings.process_floor, connections.journals
    return ProcessExecutor(settings.processes, tasks, connections.wake, floor=floor, journals=journals)
