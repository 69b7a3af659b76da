"""How figures are written, and where they lie on an axis.

Law: the figures of one measure have one number of decimals, so that columns align; minus signs are minus signs, and
nothing that rounds to zero is negative. An axis holds every value; an interval may reach beyond it, which is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from evenscore.report.quality import Value

MOST_DECIMALS = 6
BEYOND = 1.0
"""An axis goes beyond the values by this multiple of their range at most, where intervals reach further."""
TICKS = 5
MARGIN = 3.0
"""Percent of the width that are left free at both ends."""


@dataclass(frozen=True)
class Scale:
    """A number of decimals; None for powers of ten."""

    decimals: int | None

    def words(self, number: float) -> str:
        """``0.0123``, or ``1.23e-07`` where decimals would not do."""
        return self._text(number, "")

    def signed(self, number: float) -> str:
        """The same with a plus sign before what is above zero."""
        return self._text(number, "+")

    def _text(self, number: float, sign: str) -> str:
        text = f"{number:{sign}.2e}" if self.decimals is None else f"{number:{sign},.{self.decimals}f}"
        nothing = not any(c in "123456789" for c in text.partition("e")[0])
        return text.lstrip("+-") if nothing else text.replace("-", "−")


@dataclass(frozen=True)
class Axis:
    """A stretch of numbers on the width of a chart, with its ticks."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def place(self, number: float) -> float:
        """Where a number lies, in percent of the width; outside 0 .. 100 where the axis does not hold it."""
        return MARGIN + (100 - 2 * MARGIN) * (number - self.low) / (self.high - self.low)


def given(value: Value) -> bool:
    """Whether there is a number that can be drawn."""
    return value.value is not None and math.isfinite(value.value)


def bounds(value: Value) -> tuple[float, float] | None:
    """Both ends of the interval, None where it has none."""
    if value.low is None or value.high is None or not (math.isfinite(value.low) and math.isfinite(value.high)):
        return None
    return value.low, value.high


def scale_of(values: Iterable[Value]) -> Scale:
    """Decimals by which the middle one of the values has three digits."""
    sizes = [abs(v.value) for v in values if v.value and given(v)]
    if not sizes:
        return Scale(2)
    decimals = 2 - math.floor(math.log10(median(sizes)))
    if decimals > MOST_DECIMALS + 1 or decimals < -6:
        return Scale(None)
    return Scale(min(max(decimals, 0), MOST_DECIMALS))


def axis_of(values: Sequence[Value], zero: bool = False) -> Axis:
    """An axis for values and their intervals, and for zero where asked for, or where it is near."""
    points = [v.value for v in values if v.value is not None and given(v)] + ([0.0] if zero else [])
    low, high = (min(points), max(points)) if points else (0.0, 1.0)
    if low > 0 and low < high / 2:
        low = 0.0
    spread = (high - low) or abs(high) or 1.0
    ends = [end for v in values if given(v) for end in bounds(v) or ()]
    low = min([low, *(max(end, low - BEYOND * spread) for end in ends)])
    high = max([high, *(min(end, high + BEYOND * spread) for end in ends)])
    if high == low:
        low, high = low - spread / 2, high + spread / 2
    return Axis(low, high, ticks(low, high))


def ticks(low: float, high: float) -> tuple[float, ...]:
    """Round numbers within a stretch, about :data:`TICKS` of them."""
    raw = (high - low) / TICKS
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * power for unit in (1, 2, 5, 10) if unit * power >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(round(i * step, 12) for i in range(first, last + 1))
