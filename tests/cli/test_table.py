"""Widths of a table's columns: what gives way on a narrow screen, and what does not."""

from hypothesis import given
from hypothesis import strategies as st
from journeyman.cli.shared.table import fitted

GAP = 2


@given(st.lists(st.integers(1, 200), min_size=1, max_size=8), st.integers(1, 300), st.data())
def test_firm_columns_are_whole_if_they_fit(widths: list[int], screen: int, data: st.DataObject) -> None:
    give_way = data.draw(st.integers(0, len(widths) - 1))
    made = fitted(widths, screen, give_way)
    firm = widths[: len(widths) - give_way]
    shown = [width for width in made if width]
    if sum(firm) + GAP * (len(firm) - 1) <= screen:
        assert made[: len(firm)] == firm
        assert sum(shown) + GAP * (len(shown) - 1) <= screen
    if sum(widths) + GAP * (len(widths) - 1) <= screen:
        assert made == widths, "nothing is cut without need"
    assert all(0 <= width <= natural for width, natural in zip(made, widths, strict=True))
