"""A view is a pure fold: pages and single events lead to one state, and a record that is none is named."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journeyman.consumers.views.view import View
from journeyman.journal.event import Draft, Event, record
from journeyman.journal.event_decoding import decode
from journeyman.journal.log import Page


class Places(View):
    """How often each name came, and where."""

    def __init__(self) -> None:
        self.names: Counter[str] = Counter()
        self.places: list[tuple[int, int, str]] = []

    def apply(self, event: Event) -> str:
        self.names[event.name] += 1
        self.places.append((event.partition, event.offset, event.name))
        return "noted"


def rows_of(names: list[str]) -> list[bytes]:
    return [record(Draft(name, writer="w", seq=number + 1), float(number))[1] for number, name in enumerate(names)]


@given(st.lists(st.sampled_from(["a", "b.c", "d"]), min_size=1, max_size=20), st.integers(0, 3), st.integers(0, 50))
def test_applied_page_equals_its_events_one_by_one(names: list[str], partition: int, first: int) -> None:
    rows = rows_of(names)
    offsets = range(first, first + len(rows))
    by_page, one_by_one = Places(), Places()
    by_page.apply_page(Page(partition, offsets, rows))
    for offset, row in zip(offsets, rows, strict=True):
        assert one_by_one.apply(decode(row, partition, offset)) == "noted"
    assert (
        by_page.places == one_by_one.places == [(partition, at, name) for at, name in zip(offsets, names, strict=True)]
    )
    assert by_page.names == one_by_one.names


def test_offsets_with_gaps_are_kept() -> None:
    view = Places()
    view.apply_page(Page(2, [3, 7, 8], rows_of(["a", "b", "c"])))
    assert [offset for _, offset, _ in view.places] == [3, 7, 8]


def test_bad_records_are_counted_and_passed_over() -> None:
    view = Places()
    view.apply_page(Page(4, [11, 12, 13], [*rows_of(["a"]), b"not an event", *rows_of(["b"])]))
    assert view.places == [(4, 11, "a"), (4, 13, "b")]
    assert view.unreadable == 1


def test_view_without_apply_is_an_error() -> None:
    with pytest.raises(NotImplementedError):
        View().apply(decode(rows_of(["a"])[0], 0, 0))
