"""Charts of numbers over time as inline SVG: bars and curves, each with a text for each bucket. Pure.

A curve is told apart by its stroke as well as by its colour. No script is needed: the text of a bucket is the title of
an area over it, which browsers show and screen readers read.
"""

from collections.abc import Callable, Sequence
from html import escape
from typing import Final, Literal, NamedTuple

from .scale import count_ticks, short_count, short_span, span_ticks, time_ticks

Colour = Literal["blue", "green", "red", "amber", "purple"]
Stroke = Literal["", "dash", "dot"]
Values = Sequence[float | None] | Sequence[int]

_WIDTH, _HEIGHT = 560.0, 210.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 10.0, 8.0, 24.0
_PLOT_WIDTH, _PLOT_HEIGHT = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM


class Mark(NamedTuple):
    """One series of a chart: its name, a value for each bucket (None for no value), its colour and its stroke.

    `is_bar`: drawn as bars, on top of those before it; otherwise as a curve, over an area if `filled`.
    """

    name: str
    values: Values
    colour: Colour
    stroke: Stroke = ""
    is_bar: bool = False
    filled: bool = False


class Times(NamedTuple):
    """The buckets of a chart: where the first one begins, where each ends, and a text for each."""

    since: float
    ends: Sequence[float]
    texts: Sequence[str]

    def left_of(self, place: int) -> float:
        """Return where a bucket begins in the drawing."""
        return self.x(self.ends[place - 1] if place else self.since)

    def x(self, moment: float) -> float:
        """Return where a moment is in the drawing."""
        return _LEFT + _PLOT_WIDTH * (moment - self.since) / (self.ends[-1] - self.since)


def chart(title: str, summary: str, times: Times, marks: Sequence[Mark], *, spans: bool = False) -> str:
    """Return a figure: the title, the legend, and the drawing of counts, or of `spans` in seconds.

    `summary` is read in place of the drawing by those who do not see it.
    """
    greatest = max(_stacked(marks) + [value for mark in marks for value in mark.values if value is not None], default=0)
    ticks, say = (span_ticks(greatest), short_span) if spans else (count_ticks(greatest), short_count)
    legend = "".join(f"<span>{_sample(mark)}{escape(mark.name)}</span>" for mark in marks)
    drawing = [
        f'<svg viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img" aria-label="{escape(f"{title}. {summary}")}">',
        *_axes(times, ticks, say),
        *_bars(times, [mark for mark in marks if mark.is_bar], ticks[-1]),
        *[_curve(times, mark, ticks[-1]) for mark in marks if not mark.is_bar],
        *_texts(times, marks, say),
        "</svg>",
    ]
    return f"<figure><figcaption><h3>{escape(title)}</h3>{legend}</figcaption>{''.join(drawing)}</figure>"


def spark(title: str, values: Sequence[int], colour: Colour) -> str:
    """Return a small chart for a cell of a table: bars without axes."""
    greatest = max([1, *values])
    width, height = 144.0, 22.0
    step = width / max(len(values), 1)
    bars = "".join(
        f"M{step * place:.2f} {height:g}h{step * 0.86:.2f}v{-height * value / greatest:.2f}h{-step * 0.86:.2f}z"
        for place, value in enumerate(values)
        if value
    )
    return (
        f'<svg class="spark" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(title)}" '
        f'preserveAspectRatio="none"><path class="grid" d="M0 {height - 0.5:g}h{width:g}"/>'
        f'<path class="f-{colour}" d="{bars}"/></svg>'
    )


def _stacked(marks: Sequence[Mark]) -> list[float]:
    """Return the heights of the bars that stand on each other."""
    bars = [mark.values for mark in marks if mark.is_bar]
    return [sum(value or 0 for value in stack) for stack in zip(*bars, strict=True)]


def _sample(mark: Mark) -> str:
    drawn = (
        f'<rect class="f-{mark.colour}" x="4" y="1" width="10" height="9" rx="1"/>'
        if mark.is_bar
        else f'<path class="curve s-{mark.colour} {mark.stroke}" d="M1 6H27"/>'
    )
    return f'<svg class="mark" viewBox="0 0 28 11" aria-hidden="true">{drawn}</svg>'


def _axes(times: Times, ticks: Sequence[float], say: Callable[[float], str]) -> list[str]:
    drawn: list[str] = []
    for tick in ticks:
        y = _y(tick, ticks[-1])
        drawn.append(f'<path class="grid" d="M{_LEFT:g} {y:.1f}H{_WIDTH - _RIGHT:g}"/>')
        drawn.append(f'<text x="{_LEFT - 6:g}" y="{y + 4:.1f}" text-anchor="end">{escape(say(tick))}</text>')
    for moment, text in time_ticks(times.since, times.ends[-1]):
        x, base = times.x(moment), _HEIGHT - _BOTTOM
        drawn.append(f'<path class="grid" d="M{x:.1f} {base:g}v4"/>')
        if _LEFT - 4 <= x <= _WIDTH - _RIGHT - 12:
            drawn.append(f'<text x="{x:.1f}" y="{base + 17:g}" text-anchor="middle">{escape(text)}</text>')
    return drawn


def _y(value: float, greatest: float) -> float:
    return _TOP + _PLOT_HEIGHT * (1 - value / greatest)


def _bars(times: Times, marks: Sequence[Mark], greatest: float) -> list[str]:
    """Return the bars of each series, on those of the series before it."""
    below = [0.0] * len(times.ends)
    drawn: list[str] = []
    for mark in marks:
        path: list[str] = []
        for place, value in enumerate(mark.values):
            if value:
                left, right = times.left_of(place), times.x(times.ends[place])
                gap = min(1.0, (right - left) * 0.12)
                bottom, top = _y(below[place], greatest), _y(below[place] + value, greatest)
                path.append(f"M{left + gap:.2f} {bottom:.2f}H{right - gap:.2f}V{top:.2f}H{left + gap:.2f}z")
                below[place] += value
        drawn.append(f'<path class="f-{mark.colour}" d="{"".join(path)}"/>')
    return drawn


def _curve(times: Times, mark: Mark, greatest: float) -> str:
    """Return a curve through the middles of the buckets that have a value; a lone one is a dot."""
    strokes: list[list[tuple[float, float]]] = [[]]
    for place, value in enumerate(mark.values):
        if value is None:
            strokes.append([])
            continue
        middle = (times.left_of(place) + times.x(times.ends[place])) / 2
        strokes[-1].append((middle, _y(value, greatest)))
    strokes = [stroke for stroke in strokes if stroke]
    lines = "".join(_line(stroke) for stroke in strokes if len(stroke) > 1)
    dots = "".join(
        f'<circle class="f-{mark.colour}" cx="{x:.2f}" cy="{y:.2f}" r="2.4"/>'
        for stroke in strokes
        if len(stroke) == 1
        for x, y in stroke
    )
    base = _HEIGHT - _BOTTOM
    area = "".join(
        f"{_line(stroke)}L{stroke[-1][0]:.2f} {base:g}L{stroke[0][0]:.2f} {base:g}z"
        for stroke in strokes
        if mark.filled and len(stroke) > 1
    )
    filled = f'<path class="area f-{mark.colour}" d="{area}"/>' if area else ""
    return f'{filled}<path class="curve s-{mark.colour} {mark.stroke}" d="{lines}"/>{dots}'


def _line(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.2f} {y:.2f}" for x, y in points)


def _texts(times: Times, marks: Sequence[Mark], say: Callable[[float], str]) -> list[str]:
    """Return an area over each bucket whose title tells its values."""
    drawn: list[str] = []
    for place, text in enumerate(times.texts):
        told = ", ".join(f"{mark.name} {say(value)}" for mark in marks if (value := mark.values[place]) is not None)
        left, right = times.left_of(place), times.x(times.ends[place])
        drawn.append(
            f'<rect class="over" x="{left:.2f}" y="{_TOP:g}" width="{right - left:.2f}" height="{_PLOT_HEIGHT:g}">'
            f"<title>{escape(text)}: {escape(told or 'nothing')}</title></rect>"
        )
    return drawn


__all__: Final = ["Mark", "Times", "chart", "spark"]
