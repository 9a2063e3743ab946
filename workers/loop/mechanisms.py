"""Make the executor for each mechanism, as the settings of the worker say."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ...tasks.definition import Task
from ..executors import CoroutineExecutor, Executor, PoolSize, ProcessExecutor, ThreadExecutor, ThreadGroupExecutor
from ..executors.children.process import Journals
from ..executors.pipeline import Outcome
from ..settings import Settings


class ExecutorContext(NamedTuple):
    """What an executor needs of its worker loop.

    It calls `wake` in the event loop and `wake_from_thread` in any thread, when there are outcomes to collect. A thread
    gives the outcome of a lone job to `write_alone`. Child processes open the `journals`.
    """

    wake: Callable[[], None]
    wake_from_thread: Callable[[], None]
    write_alone: Callable[[Outcome], None]
    journals: Journals


def executor_for(
    mechanism: str, tasks: Mapping[str, Task[Any, Any]], settings: Settings, context: ExecutorContext
) -> Executor:
    """Return an executor that runs `tasks`, which have this mechanism: `async`, `thread` or `process`."""
    makers = {"async": _coroutines, "thread": _threads, "process": _processes}
    return makers[mechanism](tasks, settings, context)


def _coroutines(tasks: Mapping[str, Task[Any, Any]], settings: Settings, context: ExecutorContext) -> Executor:
    return CoroutineExecutor(settings.coroutines, tasks, context.wake)


def _threads(tasks: Mapping[str, Task[Any, Any]], settings: Settings, context: ExecutorContext) -> Executor:
    """Return the executor for threads: in this process, or in groups in child processes."""
    abandon = settings.abandon_threads
    if not settings.thread_processes:
        return ThreadExecutor(settings.threads, tasks, context.wake_from_thread, context.write_alone, abandon=abandon)
    return ThreadGroupExecutor(
        PoolSize(settings.threads, settings.process_floor, settings.thread_processes),
        tasks,
        context.wake,
        abandon=abandon,
        enforce_ms=settings.enforce_ms,
        journals=context.journals,
    )


def _processes(tasks: Mapping[str, Task[Any, Any]], settings: Settings, context: ExecutorContext) -> Executor:
    floor, journals = settings.process_floor, context.journals
    return ProcessExecutor(settings.processes, tasks, context.wake, floor=floor, journals=journals)
