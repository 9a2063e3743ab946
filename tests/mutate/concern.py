"""Which modules are mutated, and which tests concern each: the quick ones first, since the first failure is enough."""

from pathlib import Path
from typing import Final, NamedTuple


class Concern(NamedTuple):
    """Modules (by pattern), the tests that are to notice bugs in them, and how many simulated worlds after these."""

    modules: str
    tests: tuple[str, ...]
    worlds: int = 0


_RULES: Final = (
    "workers/test_decide.py", "workers/test_ready.py", "workers/test_selection.py", "workers/test_failure_detector.py",
    "workers/test_delayed.py", "workers/test_transitions.py", "workers/test_revoking.py", "workers/test_chosen_ids.py",
    "workers/test_commit_pace.py", "workers/test_paused_queues.py", "workers/test_purged.py",
    "workers/test_overview.py", "workers/test_view_properties.py", "workers/test_snapshots_before.py",
    "workers/test_poison.py",
)  # fmt: skip
_LOOP: Final = (
    "workers/test_lane.py", "workers/test_neighbours.py", "workers/test_submissions.py", "workers/test_indexing.py",
    "workers/test_foreman.py", "workers/test_loop_edges.py", "workers/test_foreman_snapshots.py",
    "workers/test_streams.py", "workers/test_leaving.py",
)  # fmt: skip
_CREW: Final = (
    "workers/test_pipeline.py", "workers/test_thread_crew.py", "workers/test_coroutine_crew.py",
    "workers/test_permits.py", "workers/test_processes.py", "workers/test_children.py", "workers/test_ailing.py",
)  # fmt: skip
_SQLITE: Final = (
    "journal/test_sqlite.py", "journal/test_sqlite_placement.py", "journal/test_sqlite_writers.py",
    "journal/test_sqlite_reading.py", "journal/test_doorbell.py", "journal/test_write_lock.py",
    "journal/test_sqlite_file.py", "journal/test_sqlite_ending.py", "journal/test_sqlite_interrupts.py",
)  # fmt: skip
_CONSUMERS: Final = (
    "consumers/test_engine.py", "consumers/test_order.py", "consumers/test_callbacks.py", "consumers/test_moments.py",
    "consumers/test_handed_back.py", "consumers/test_shared_tail.py", "consumers/test_beyond.py",
    "consumers/test_checkpoints.py", "consumers/test_parking.py", "consumers/test_conformance.py",
)  # fmt: skip

CONCERNS: Final = (
    Concern("workers/rules/*.py", _RULES, worlds=6),
    Concern("workers/foreman/*.py", _LOOP, worlds=6),
    Concern("workers/crew/*.py", _CREW),
    Concern("journal/sqlite/*.py", _SQLITE),
    Concern("journal/tails/shared_tail.py", ("consumers/test_shared_tail.py", "journal/test_journal.py")),
    Concern("consumers/*.py", _CONSUMERS),
    Concern("consumers/engine/*.py", _CONSUMERS),
)


def modules_of(concern: Concern, root: Path) -> list[Path]:
    """The files of its modules."""
    return sorted(path for path in root.glob(concern.modules) if path.name != "__init__.py")
