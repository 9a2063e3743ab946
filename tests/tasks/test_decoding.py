"""Which records the fold can read, and what is said of one that it cannot."""

from typing import Any

import pytest
from journeyman.journal.damage import DAMAGE, mark_damaged
from journeyman.journal.event import Draft, encode_context, record
from journeyman.tasks.state import names
from journeyman.tasks.state.decoding import fact, task_facts, unreadable


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


def test_unreadable_record_hides_none_of_its_page() -> None:
    rows = [row_of(names.SUBMITTED, task="a"), row_of(names.SUBMITTED, task=7), row_of("order.paid", task=7)]
    read = task_facts(rows)
    assert [each is not None and each.name for each in read] == [names.SUBMITTED, False, "order.paid"]
    assert [each is not None for each in map(fact, rows)] == [True, False, True]
