"""The events just before a cursor, found among the pages that were read last."""

from journeyman.consumers.engine.trail import Trail
from journeyman.journal.cursor import Cursor
from journeyman.journal.log import Page


def page(partition: int, *offsets: int) -> Page:
    return Page(partition, list(offsets), [b"%d" % offset for offset in offsets])


def test_cursor_has_the_record_before_each_offset() -> None:
    trail = Trail({0: 0, 1: 0})
    trail.add(page(0, 0, 1, 2), 0)
    trail.add(page(0, 5, 6), 0)
    assert trail.cursor({0: 0, 1: 4}).behind == {}
    assert trail.cursor({0: 2}).behind == {0: (1, b"1")}
    assert trail.cursor({0: 5}).behind == {0: (2, b"2")}
    assert trail.cursor({0: 7, 1: 0}).behind == {0: (6, b"6")}


def test_last_record_of_dropped_pages_is_kept() -> None:
    trail = Trail({0: 0})
    trail.add(page(0, 0, 1, 2), 0)
    trail.add(page(0, 3, 4), 2)
    assert trail.cursor({0: 1}).behind == {0: (0, b"0")}, "not all of the first was handed out"
    trail.add(page(0, 5), 3)
    assert trail.cursor({0: 3}).behind == {0: (2, b"2")}
    assert trail.cursor({0: 2}).behind == {}, "what came before that is gone"


def test_events_searched_for_in_vain_are_searched_for_once() -> None:
    trail = Trail({0: 7, 1: 0, 2: 9})
    asked = trail.cursor({0: 7, 1: 0, 2: 9})
    assert not trail.is_complete(asked)
    trail.learn(Cursor({0: 7, 1: 0, 2: 9}, {2: (8, b"8")}))
    assert trail.is_complete(trail.cursor({0: 7, 1: 0, 2: 9}))
    assert not trail.is_complete(trail.cursor({0: 8, 1: 0, 2: 9})), "another place was not searched for"
    assert trail.cursor({0: 7, 1: 0, 2: 9}).behind == {2: (8, b"8")}
    trail.learn(Cursor({2: 9}, {2: (5, b"5")}))
    assert trail.cursor({2: 9}).behind == {2: (8, b"8")}, "the first answer stands"


def test_trail_begins_with_what_its_cursor_has() -> None:
    trail = Trail(Cursor({0: 7}, {0: (6, b"6")}))
    assert trail.cursor({0: 7}).behind == {0: (6, b"6")}
    assert trail.is_complete(trail.cursor({0: 7}))
