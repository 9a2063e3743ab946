"""Which records the fold can read, and what is said of one that it cannot."""

from typing import Any

import pytest
from journeyman.journal.damage import DAMAGE, mark_damaged
from journeyman.journal.event import Draft, encode_context, record
from journeyman.tasks import TaskView
from journeyman.tasks.state import fold, names
from journeyman.tasks.state.decoding import dead_letter_context, fact, task_facts, unreadable
from support.ledger import Ledger


def row_of(name: str, **context: Any) -> bytes:
    return record(Draft(name, encode_context(name, context)), 1_800_000_000.0)[1]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (row_of(names.SUBMITTED, task="a", task_name="work"), None),
        (row_of(names.CLAIMED, task="a", worker="w"), None),
        (row_of(names.BEAT, worker="w"), None),
        (row_of("order.paid", task=7, worker=[]), None),
        (row_of("order.paid"), None),
        (row_of(names.SUBMITTED, task_name="work"), "names no task"),
        (row_of(names.CLAIMED, worker="w"), "names no task"),
        (row_of(names.BEAT), "names no worker"),
        (row_of(names.JOINED, task="a"), "names no worker"),
        (row_of(names.SUBMITTED, task="a", priority="high"), "Expected `int`, got `str` - at `$.context.priority`"),
        (mark_damaged(b"{"), DAMAGE),
        (b"{", "Input data was truncated"),
    ],
)
def test_unreadable_record_is_explained(row: bytes, said: str | None) -> None:
    reason = unreadable(row)
    assert (reason is None) == (said is None)
    assert said is None or (reason is not None and said in reason)


def test_page_with_another_programs_event_is_a_sign_of_life() -> None:
    log, replayed = Ledger(), TaskView()
    log.join("w")
    log.write("order.paid", worker="w")
    log.write("order.sent")
    replayed.apply_page(log.page())
    for view in (log.view, replayed):
        assert [session.last for session in view.all_sessions()] == [1]


def test_dead_letter_carries_its_last_amendment_alone() -> None:
    row = row_of(names.SUBMITTED, task="a", task_name="work", priority=2)
    carried = [dead_letter_context(row, 4, *amended)["submission"] for amended in ((), (6,), (0,))]
    assert [(each["offset"], each["priority"], each.get("amended")) for each in carried] == [
        (4, 2, None),
        (4, 2, 6),
        (4, 2, 0),
    ]
    with pytest.raises(ValueError, match=f"expected to be a {names.SUBMITTED}"):
        dead_letter_context(row_of(names.CLAIMED, task="a", worker="w"), 4)


def test_kinds_of_tasks_are_remembered_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fold, "TASK_KINDS_REMEMBERED", 3)
    log = Ledger()
    for number in range(10):
        log.submit(f"t{number}", queue=f"q{number}")
        assert 0 < len(log.view._kinds) <= 3
    assert [task.queue for task in log.view.live.values()] == [f"q{number}" for number in range(10)]


def test_unreadable_record_hides_none_of_its_page() -> None:
    rows = [row_of(names.SUBMITTED, task="a"), row_of(names.SUBMITTED, task=7), row_of("order.paid", task=7)]
    read = task_facts(rows)
    assert [each is not None and each.name for each in read] == [names.SUBMITTED, False, "order.paid"]
    assert [each is not None for each in map(fact, rows)] == [True, False, True]
