"""Cursors: text that comes back as it was, and an order that is only partial."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journeyman.journal import Cursor, Position
from journeyman.journal.fingerprint import Mark, fingerprint_of

offsets = st.dictionaries(st.integers(0, 1_023), st.integers(0, 2**62), max_size=6)


@given(offsets)
def test_cursor_round_trips_through_text(given_offsets: dict[int, int]) -> None:
    cursor = Cursor(given_offsets)
    assert Cursor.parse(str(cursor)) == cursor
    assert dict(cursor) == given_offsets
    assert hash(Cursor(dict(reversed(given_offsets.items())))) == hash(cursor)
    assert str(Cursor(dict(reversed(given_offsets.items())))) == str(cursor), "one cursor, one text"
    assert eval(repr(cursor), {"Cursor": Cursor}) == cursor


@given(offsets, st.integers(0, 1_023), st.integers(0, 2**62))
def test_cursor_advances_without_mutation(given_offsets: dict[int, int], partition: int, offset: int) -> None:
    cursor = Cursor(given_offsets)
    advanced = cursor.advanced(partition, offset)
    assert advanced[partition] == offset
    assert dict(cursor) == given_offsets
    assert {each: advanced[each] for each in advanced if each != partition} == {
        each: cursor[each] for each in cursor if each != partition
    }


@given(offsets, offsets)
def test_reaching_a_cursor_means_having_read_all_before_it(one: dict[int, int], other: dict[int, int]) -> None:
    cursor = Cursor(one)
    assert cursor.reaches(cursor)
    assert cursor.reaches({})
    assert cursor.reaches(other) == all(
        cursor.covers(Position(partition, offset - 1)) for partition, offset in other.items() if offset
    )


def test_cursor_covers_positions_before_it() -> None:
    cursor = Cursor({0: 5})
    assert cursor.covers(Position(0, 4))
    assert not cursor.covers(Position(0, 5))
    assert not cursor.covers(Position(1, 0))


@pytest.mark.parametrize("text", ["x", "0", "0:", ":5", "0:5:6", "0:a", "0:-1", "-1:5", "0;5", "0:5,1"])
def test_invalid_cursor_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected a cursor such as '0:42'"):
        Cursor.parse(text)


@given(offsets, st.dictionaries(st.integers(0, 1_023), st.tuples(st.integers(1, 50), st.integers(0, 2**40))))
def test_marks_round_trip_through_text(given_offsets: dict[int, int], events: dict[int, tuple[int, int]]) -> None:
    marks = {
        partition: Mark(given_offsets[partition] - distance, fingerprint_of("w", 1), microseconds / 1_000_000)
        for partition, (distance, microseconds) in events.items()
        if given_offsets.get(partition, 0) >= distance
    }
    cursor = Cursor(given_offsets, marks)
    again = Cursor.parse(str(cursor))
    assert again.marks == cursor.marks == marks
    assert str(again) == str(cursor)
    assert again == Cursor.parse(cursor.offsets) == Cursor(given_offsets), "marks are evidence, not identity"


def test_advanced_cursor_marks_the_event_passed() -> None:
    cursor = Cursor({0: 5, 1: 3}, {1: Mark(2, fingerprint_of("w", 3))}).advanced(0, 9, b'{"writer":"w","seq":9}')
    assert cursor.marks == {0: Mark(8, fingerprint_of("w", 9)), 1: Mark(2, fingerprint_of("w", 3))}
    assert cursor.advanced(0, 12).marks == {1: Mark(2, fingerprint_of("w", 3))}, "what is not known is not claimed"


@pytest.mark.parametrize("text", ["0:0:0123456789ab", "0:5:0123456789ab~5", "0:5:0123456789AB", "0:5:0123456789ab."])
def test_cursor_text_with_a_bad_mark_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected a cursor such as '0:42'"):
        Cursor.parse(text)


def test_negative_numbers_are_no_positions() -> None:
    for bad in ({0: -1}, {-1: 0}):
        with pytest.raises(ValueError, match="from 0 up"):
            Cursor(bad)


def test_cursor_equals_only_cursors() -> None:
    assert Cursor({0: 1}) != {0: 1}
    assert Cursor({0: 1}) != Cursor({0: 2})
    assert len({Cursor({0: 1}), Cursor({0: 1})}) == 1
    assert len(Cursor({0: 1, 3: 2})) == 2
