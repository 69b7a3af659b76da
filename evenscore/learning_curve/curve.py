"""A learning curve from measured recalls: means with intervals, where it comes near its end, and whether it still rises.

Law: the interval at a size is Student's over classes, each with its mean over seeds, where there are at least three: it says
what to expect of a class like these. With one or two classes it is over seeds, and speaks of those classes alone. It is never
narrower than Wilson's for as many judged samples. Distances to the end of the curve are paired: the same classes, seeds and
samples at both sizes. Between sizes values are interpolated over log n; beyond the largest size nothing is said.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evenscore.metrics.agreement import wilson
from evenscore.metrics.interval import paired_student

CLASSES_FOR_INTERVAL = 3


@dataclass(frozen=True)
class Point:
    """Label agreement at one number of samples of a class.

    Attributes:
        n: samples of the class that were trained on.
        value, low, high: mean recall with its 95 % interval.
        lowest, highest: recall of the class that has the least, and the most.
    """

    n: int
    value: float
    low: float
    high: float
    lowest: float
    highest: float


@dataclass(frozen=True)
class Need:
    """From how many samples on the curve is near its end; ``low`` to ``high`` is the 95 % interval of that number."""

    n: int
    low: int
    high: int


@dataclass(frozen=True)
class Difference:
    """A paired difference with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Curve:
    """A learning curve.

    Attributes:
        points: one for each size, ascending.
        within: how near is near.
        need: from how many samples on it is near its end.
        rise: its last step, from the size before the largest to the largest.
        over: ``classes`` or ``seeds``: what the intervals are over.
    """

    points: tuple[Point, ...]
    within: float
    need: Need
    rise: Difference
    over: str

    @property
    def end(self) -> Point:
        """The point at the largest size."""
        return self.points[-1]

    @property
    def rises(self) -> bool:
        """Whether it certainly rises in its last step: then its end is no plateau."""
        return self.rise.low > 0

    def at(self, n: int) -> Point | None:
        """The curve at ``n`` samples; its end from the largest size on, None below the smallest one."""
        sizes = [point.n for point in self.points]
        if n < sizes[0]:
            return None
        names = ("value", "low", "high", "lowest", "highest")
        logs = np.log(sizes)
        read = (np.interp(math.log(n), logs, [getattr(point, name) for point in self.points]) for name in names)
        return Point(n, *(float(value) for value in read))


def curve_of(recalls: NDArray[np.float64], sizes: Sequence[int], judged: int, within: float) -> Curve:
    """The curve of measured recalls.

    Args:
        recalls: (H, m, S) recall of each class at each size and seed.
        sizes: (m,) ascending.
        judged: samples that were judged, of all classes together.
        within: how near to its end the curve must be, for ``need``.
    """
    over = "classes" if len(recalls) >= CLASSES_FOR_INTERVAL else "seeds"
    units = recalls.mean(2) if over == "classes" else recalls.mean(0).T
    points = tuple(_point(n, units[:, i], recalls[:, i].mean(1), judged) for i, n in enumerate(sizes))
    away = [_difference(units[:, i], units[:, -1]) for i in range(len(sizes))]
    need = Need(*(_reached([getattr(d, name) for d in away], sizes, within) for name in ("value", "high", "low")))
    return Curve(points, within, need, _difference(units[:, -1], units[:, -2]), over)


def _point(n: int, units: NDArray[np.float64], classes: NDArray[np.float64], judged: int) -> Point:
    mean = _difference(units, np.zeros(len(units)))
    sure = wilson(round(min(1.0, mean.value) * judged), judged)
    low, high = max(0.0, min(mean.low, sure[0])), min(1.0, max(mean.high, sure[1]))
    return Point(n, mean.value, low, high, float(classes.min()), float(classes.max()))


def _difference(first: NDArray[np.float64], second: NDArray[np.float64]) -> Difference:
    value, interval = paired_student(first.tolist(), second.tolist())
    return Difference(value, interval.low, interval.high)


def _reached(away: Sequence[float], sizes: Sequence[int], within: float) -> int:
    """The least number from which on a curve of distances to its end (the last is 0) stays above ``-within``.

    A later fall counts: what is read is the largest rising curve that lies nowhere above it.
    """
    rising = np.minimum.accumulate(np.asarray(away)[::-1])[::-1]
    first = int(np.argmax(rising >= -within))
    if first == 0:
        return sizes[0]
    share = (-within - rising[first - 1]) / (rising[first] - rising[first - 1])
    low, high = math.log(sizes[first - 1]), math.log(sizes[first])
    return math.ceil(math.exp(low + share * (high - low)) - 1e-9)
