"""The results of a measurement: figures, each with its spread, its floor, their ratio, and its targets."""

import math
from collections.abc import Sequence
from statistics import median
from typing import Literal

import msgspec

Direction = Literal["at least", "at most"]
_SIGNS: dict[str, str] = {"at least": "≥", "at most": "≤"}


class Spread(msgspec.Struct, frozen=True):
    """The values of all rounds, with their median, the least and the greatest."""

    median: float
    least: float
    greatest: float
    rounds: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """The spread of at least one value."""
        return cls(median(values), min(values), max(values), tuple(values))


class Floor(msgspec.Struct, frozen=True):
    """The comparison for our figure: the same work written by hand on the bare library, in the same unit."""

    title: str
    spread: Spread


class Target(msgspec.Struct, frozen=True):
    """A target: `value` is compared with `bar` in the stated direction."""

    what: str
    direction: Direction
    bar: float
    value: float
    unit: str

    @property
    def met(self) -> bool:
        """Whether the bar is reached."""
        return self.value >= self.bar if self.direction == "at least" else self.value <= self.bar

    @property
    def text(self) -> str:
        """The target in one line, such as ``ratio ≥ 0.8``."""
        return f"{self.what} {_SIGNS[self.direction]} {shown(self.bar)}{_spaced(self.unit)}"


class Figure(msgspec.Struct, frozen=True):
    """One measured figure; `facts` are the numbers worth knowing beside it, each with its unit in its name."""

    name: str
    title: str
    unit: str
    ours: Spread | None = None
    floor: Floor | None = None
    ratio: Spread | None = None
    targets: tuple[Target, ...] = ()
    facts: dict[str, float] = {}
    skipped: str | None = None


def ratio_of(ours: Sequence[float], floor: Sequence[float]) -> Spread:
    """The ratio of each round, whose two sides were measured one right after the other."""
    return Spread.of([mine / bare for mine, bare in zip(ours, floor, strict=True)])


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that `percent` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def shown(value: float) -> str:
    """Format a number for people: three significant digits, thousands separated."""
    if value == 0 or not math.isfinite(value):
        return str(value)
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _spaced(unit: str) -> str:
    return f" {unit}" if unit else ""
