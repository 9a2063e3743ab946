"""Which modules are mutated, and which tests concern each: the quick ones first, since the first failure is enough."""

from pathlib import Path
from typing import Final, NamedTuple


class Concern(NamedTuple):
    """Modules (by pattern), the tests that are to notice bugs in them, and how many simulated worlds after these."""

    modules: str
    tests: tuple[str, ...]
    worlds: int = 0


_STATE: Final = (
    "tasks/test_transitions.py", "tasks/test_selection.py", "tasks/test_chosen_ids.py", "tasks/test_view_properties.py",
    "tasks/test_older_snapshots.py", "tasks/test_overview.py", "workers/test_commit_pace.py",
    "workers/test_revoking.py", "workers/test_paused_queues.py", "workers/test_purged.py", "workers/test_suspects.py",
    "workers/test_decide.py", "tasks/test_lock_state.py", "tasks/test_schedule_fold.py", "tasks/test_service_fold.py",
    "tasks/test_ticks.py", "tasks/test_lock_retention.py", "tasks/test_amending.py", "tasks/test_routing.py",
    "tasks/test_chains.py", "tasks/test_retention.py", "workers/test_amended.py", "workers/test_firing.py",
    "workers/test_linked_locks.py", "workers/test_loop_snapshots.py", "workers/test_submissions.py",
    "workers/test_identity.py", "tasks/test_decoding.py", "tasks/test_remembering.py", "tasks/test_lookup.py",
    "workers/test_ready_queue.py",
)  # fmt: skip
_SCHEDULING: Final = (
    "workers/test_decide.py", "workers/test_ready_queue.py", "tasks/test_failure_detector.py",
    "workers/test_delayed.py", "workers/test_commit_pace.py", "workers/test_firing.py", "tasks/test_selection.py",
    "workers/test_paused_queues.py", "workers/test_suspects.py",
)  # fmt: skip
_LOOP: Final = (
    "workers/test_appender.py", "workers/test_appends.py", "workers/test_hook_calls.py", "workers/test_stopping.py",
    "workers/test_lane.py", "workers/test_dead_processes.py", "workers/test_submissions.py", "workers/test_indexing.py",
    "workers/test_loop.py", "workers/test_loop_edges.py", "workers/test_loop_snapshots.py", "workers/test_streams.py",
    "workers/test_leaving.py", "workers/test_firing.py", "workers/test_hooks.py", "workers/test_amended.py",
    "workers/test_chains.py", "workers/test_lapsing.py", "workers/test_linked_locks.py", "workers/test_retry_after.py",
    "workers/test_failed_results.py", "workers/test_revoking.py", "workers/test_suspects.py",
    "workers/test_identity.py", "workers/test_progress.py", "workers/test_commit_pace.py",
    "workers/test_failure_log.py", "workers/test_session_watch.py", "workers/test_tracing.py",
    "workers/test_unreadable_log.py", "workers/test_paused_queues.py", "workers/test_consumer.py",
)  # fmt: skip
_EXECUTORS: Final = (
    "workers/test_pipeline.py", "workers/test_thread_executor.py", "workers/test_coroutine_executor.py",
    "workers/test_permits.py", "workers/test_processes.py", "workers/test_children.py",
    "workers/test_start_failures.py", "workers/test_hook_calls.py", "workers/test_stopping.py",
    "workers/test_chains.py", "workers/test_progress.py", "workers/test_tracing.py", "workers/test_consumer.py",
)  # fmt: skip
_SQLITE: Final = (
    "journal/test_sqlite.py", "journal/test_sqlite_placement.py", "journal/test_sqlite_writers.py",
    "journal/test_sqlite_reading.py", "journal/test_sqlite_notifier.py", "journal/test_write_lock.py",
    "journal/test_sqlite_file.py", "journal/test_sqlite_ending.py", "journal/test_sqlite_interrupts.py",
)  # fmt: skip
_CONSUMERS: Final = (
    "consumers/test_engine.py", "consumers/test_order.py", "consumers/test_callbacks.py", "consumers/test_moments.py",
    "consumers/test_handed_back.py", "journal/test_shared_tail.py", "consumers/test_beyond.py",
    "consumers/test_checkpoints.py", "consumers/test_parking.py", "consumers/test_conformance.py",
    "consumers/test_trail.py", "consumers/test_event.py", "consumers/test_asynchronous.py",
    "consumers/test_truncation.py", "consumers/test_divergence.py",
)  # fmt: skip
_TAILS: Final = (
    "journal/test_subscriber.py", "journal/test_shared_tail.py", "journal/test_journal.py", *_CONSUMERS,
)  # fmt: skip

CONCERNS: Final = (
    Concern("tasks/state/*.py", _STATE, worlds=6),
    Concern("tasks/trends/*.py", ("tasks/test_trends.py",)),
    Concern("tasks/failure_detector.py", ("tasks/test_failure_detector.py", "workers/test_decide.py"), worlds=6),
    Concern("workers/scheduling/*.py", _SCHEDULING, worlds=6),
    Concern("workers/loop/*.py", _LOOP, worlds=6),
    Concern("workers/executors/**/*.py", _EXECUTORS),
    Concern("workers/timed_queue.py", ("workers/test_timed_queue.py",)),
    Concern("journal/sqlite/*.py", _SQLITE),
    Concern("journal/tails/*.py", _TAILS),
    Concern("consumers/*.py", _CONSUMERS),
    Concern("consumers/engine/*.py", _CONSUMERS),
)


def modules_of(concern: Concern, root: Path) -> list[Path]:
    """The files of its modules."""
    return sorted(path for path in root.glob(concern.modules) if path.name != "__init__.py")
