"""Charts of text: a series of numbers as blocks, in one line or in several. Pure."""

from collections.abc import Sequence
from typing import Final

_BLOCKS: Final = " ▁▂▃▄▅▆▇█"
_STEPS: Final = len(_BLOCKS) - 1


def sparkline(numbers: Sequence[float | None], columns: int) -> str:
    """Return the numbers as at most so many blocks, the greatest number as the highest; None and 0 have none."""
    return chart(numbers, columns, 1)[0]


def chart(numbers: Sequence[float | None], columns: int, lines: int) -> list[str]:
    """Return the numbers as columns of blocks over so many lines, the upper one first.

    Neighbours share a column where there are more numbers than columns: the greatest of them is drawn. A number above 0
    has at least the lowest block.
    """
    shown = _fitted(numbers, columns)
    greatest = max((number for number in shown if number is not None), default=0.0)
    heights = [_height(number, greatest, lines * _STEPS) for number in shown]
    return [
        "".join(_BLOCKS[max(0, min(height - line * _STEPS, _STEPS))] for height in heights)
        for line in reversed(range(lines))
    ]


def _height(number: float | None, greatest: float, steps: int) -> int:
    if number is None or number <= 0:
        return 0
    return max(1, round(number / greatest * steps))


def _fitted(numbers: Sequence[float | None], columns: int) -> list[float | None]:
    """Return at most `columns` numbers, each the greatest of equally many neighbours; the last group is whole."""
    if columns <= 0 or not numbers:
        return []
    share = -(-len(numbers) // columns)
    ends = range(len(numbers), 0, -share)
    groups = [[each for each in numbers[max(0, end - share) : end] if each is not None] for end in ends]
    return [max(group, default=None) for group in reversed(groups)]
