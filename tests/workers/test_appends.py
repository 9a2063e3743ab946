"""How the worker's events are divided into appends: as few as the limits allow, and none divides what is bound."""

import json

import pytest
from journeyman.journal.event import check
from journeyman.tasks.state import names
from journeyman.workers.executors.pipeline import Job, Outcome, SessionLease
from journeyman.workers.loop import drafts
from journeyman.workers.loop.drafts import (
    ReleaseContext,
    WorkerDraft,
    appends_of,
    outcome_entries,
    session_entry,
    within_limits,
)
from support.states import claimed_task

LEASE = SessionLease("worker", 0)
SIZE = check(session_entry(names.BEAT, LEASE).draft)


def entries(*bound: bool) -> list[WorkerDraft]:
    """Events of one size each; of those that are `bound` each goes with the one before it."""
    made = [session_entry(names.BEAT, LEASE) for _ in bound]
    for entry, is_bound in zip(made, bound, strict=True):
        entry.bound = is_bound
    return made


def limited(patch: pytest.MonkeyPatch, *, size: int = 1_000_000, events: int = 1_000) -> None:
    """Let an append have so many bytes, and so many events; measured, and not by the estimate."""
    patch.setattr(drafts, "ENTRY_BYTES_MAX", 1_000_000_000)
    patch.setattr(drafts, "BATCH_BYTES_MAX", size)
    patch.setattr(drafts, "BATCH_EVENTS_MAX", events)


def lengths(made: list[WorkerDraft]) -> list[int]:
    parts = [list(part) for part in within_limits(made)]
    assert [entry for part in parts for entry in part] == made
    return [len(part) for part in parts]


@pytest.mark.parametrize(("size", "expected"), [(3 * SIZE, [3, 3, 1]), (3 * SIZE - 1, [2, 2, 2, 1]), (SIZE, [1] * 7)])
def test_append_is_filled_to_the_byte(size: int, expected: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    limited(monkeypatch, size=size)
    assert lengths(entries(*[False] * 7)) == expected


@pytest.mark.parametrize(("events", "expected"), [(3, [3, 3, 1]), (7, [7]), (1, [1] * 7)])
def test_append_is_filled_to_the_event(events: int, expected: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    limited(monkeypatch, events=events)
    assert lengths(entries(*[False] * 7)) == expected


def test_append_divides_nothing_that_is_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    limited(monkeypatch, events=3)
    assert lengths(entries(False, False, True, False, True, True, False, False, True)) == [3, 3, 3]
    limited(monkeypatch, size=3 * SIZE)
    assert lengths(entries(False, False, True, False, False, True, True)) == [3, 1, 3]


def test_few_small_events_are_one_append_unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    made = entries(*[False] * 4)
    estimate = sum(len(entry.draft.context) + 100 for entry in made)
    monkeypatch.setattr(drafts, "ENTRY_BYTES_MAX", 100)
    monkeypatch.setattr(drafts, "BATCH_BYTES_MAX", estimate)
    monkeypatch.setattr(drafts, "check", None)
    assert lengths(made) == [4]
    for name, limit in (("BATCH_BYTES_MAX", estimate - 1), ("BATCH_EVENTS_MAX", 3)):
        with monkeypatch.context() as patch:
            patch.setattr(drafts, name, limit)
            with pytest.raises(TypeError):
                lengths(made)


@pytest.mark.parametrize(
    ("releases", "expected"),
    [([], [5]), ([1], [2, 3]), ([4], [3, 2]), ([2], [1, 2, 2]), ([1, 3], [2, 2, 1]), ([1, 4], [2, 1, 2])],
)
def test_outcome_with_a_release_has_an_append_of_its_own(releases: list[int], expected: list[int]) -> None:
    made = entries(*[number in releases for number in range(5)])
    for number in releases:
        made[number].fact = ReleaseContext(lock="door")
    parts = [list(part) for part in appends_of(made)]
    assert [len(part) for part in parts] == expected
    assert [entry for part in parts for entry in part] == made


def test_last_report_of_progress_stands_before_the_outcome() -> None:
    lease = SessionLease("worker", 0)
    job = Job(claimed_task("t", 4, 5), lease, 5, b'{"context":{"task":"t"}}', 0)
    lease.reported.put(job, "progress", b"0.5")
    entries = outcome_entries(Outcome(job, names.SUCCEEDED), lambda _: 0)
    assert [entry.draft.name for entry in entries] == [names.PROGRESSED, names.SUCCEEDED]
    assert json.loads(entries[0].draft.context) == {"task": "t", "worker": "worker", "claim": 5, "progress": 0.5}
    assert not lease.reported.take()
    assert len(outcome_entries(Outcome(job, names.SUCCEEDED), lambda _: 0)) == 1
