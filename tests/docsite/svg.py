"""The few shapes that the drawings are made of, as SVG text."""

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final, NamedTuple

_STYLE: Final = """\
text { font: 13px sans-serif; fill: #1b1f24; text-anchor: middle }
.name { font-weight: bold; font-size: 15px }
.small { font-size: 12px; fill: #57606a }
.mono { font-family: monospace; font-size: 12px }
.left { text-anchor: start }
.halo { paint-order: stroke; stroke: #fff; stroke-width: 4px }
.box { fill: #eef4ff; stroke: #3f6ec7; stroke-width: 1.5 }
.end { fill: #f3f3f3; stroke: #6e7781; stroke-width: 1.5 }
.room { fill: #f7f9fc; stroke: #9fb3d9 }
.line { fill: none; stroke: #57606a; stroke-width: 1.4 }
"""
LINE_HEIGHT: Final = 16


class Point(NamedTuple):
    """A place in a drawing, in pixels from its upper left corner."""

    x: float
    y: float


class Box(NamedTuple):
    """A rectangle by its centre and size, in pixels."""

    centre: Point
    width: float
    height: float


def drawing(width: int, height: int, title: str, parts: Iterable[str]) -> str:
    """A whole drawing on white paper, which a screen reader announces by its title."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img">\n<title>{escape(title)}</title>\n<style>\n{_STYLE}</style>\n'
        '<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 10 5 0 10z" fill="#57606a"/></marker></defs>\n'
        f'<rect width="{width}" height="{height}" rx="8" fill="#fff"/>\n'
    )
    return head + "\n".join(parts) + "\n</svg>\n"


def rectangle(box: Box, kind: str) -> str:
    """A rounded rectangle of one of the kinds `box`, `end` and `room`."""
    left, top = box.centre.x - box.width / 2, box.centre.y - box.height / 2
    return f'<rect x="{left:g}" y="{top:g}" width="{box.width:g}" height="{box.height:g}" rx="8" class="{kind}"/>'


def text(place: Point, words: str, kind: str = "") -> str:
    """One line of text, centred at the place unless its kind is `left`."""
    return f'<text x="{place.x:g}" y="{place.y:g}" class="{kind}">{escape(words)}</text>'


def lines(place: Point, words: Sequence[str], kind: str = "") -> list[str]:
    """Several lines of text, centred on the place from top to bottom."""
    first = place.y - (len(words) - 1) * LINE_HEIGHT / 2 + 4
    return [text(Point(place.x, first + number * LINE_HEIGHT), line, kind) for number, line in enumerate(words)]


def arrow(start: Box, end: Box, bend: float = 0, along: float = 0.5) -> tuple[str, Point]:
    """A curved arrow from the rim of one box to that of another, and the place of its label, `along` it from 0 to 1.

    `bend` is how far the middle of the line lies to its left, in pixels.
    """
    x, y = end.centre.x - start.centre.x, end.centre.y - start.centre.y
    length = math.hypot(x, y)
    middle = Point(
        (start.centre.x + end.centre.x) / 2 + 2 * bend * y / length,
        (start.centre.y + end.centre.y) / 2 - 2 * bend * x / length,
    )
    a, b = _rim(start, middle), _rim(end, middle)
    curve = f"M{a.x:.1f} {a.y:.1f}Q{middle.x:.1f} {middle.y:.1f} {b.x:.1f} {b.y:.1f}"
    path = f'<path d="{curve}" class="line" marker-end="url(#arrow)"/>'
    t, u = along, 1 - along
    label = Point(u * u * a.x + 2 * u * t * middle.x + t * t * b.x, u * u * a.y + 2 * u * t * middle.y + t * t * b.y)
    return path, label


def straight(start: Point, end: Point) -> str:
    """A straight arrow."""
    return f'<path d="M{start.x:g} {start.y:g}L{end.x:g} {end.y:g}" class="line" marker-end="url(#arrow)"/>'


def _rim(box: Box, towards: Point) -> Point:
    """Where the line from the centre of a box towards a point leaves the box."""
    x, y = towards.x - box.centre.x, towards.y - box.centre.y
    scale = min(box.width / 2 / abs(x) if x else math.inf, box.height / 2 / abs(y) if y else math.inf)
    return Point(box.centre.x + x * scale, box.centre.y + y * scale)
