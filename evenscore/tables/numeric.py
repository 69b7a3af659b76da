"""Maps of one column of numbers to a real line on which it is near to standard normal, and back.

* :class:`Standard`: ``z = (x - mean) / std``.
* :class:`Quantile`: ``z = normal quantile of u``, u uniform between ``F(x-)`` and ``F(x)``, F the distribution function of the
  column. Between neighbouring values F is a straight line; a value that holds more than :data:`ATOM` of the rows has
  a step of its own, and all of the step decodes to that very value (zeros of a zero-inflated column stay zeros).

Law: decoding an encoded value gives it back (up to rounding, and for a column of many values up to the width between
knots), and whatever is decoded lies within the bounds that were observed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.special
from numpy.typing import NDArray

Reals = NDArray[np.float64]
ATOM = 0.02
"""Share of the rows from which a value has a step of its own."""
KNOTS = 1000
"""Knots of the distribution function."""
EDGE = 1e-6
"""Quantiles are kept this far from 0 and 1."""
SKEW, TAIL = 1.0, 4.0
"""Within classes, of a column that ``auto`` takes as quantiles: absolute skewness, or excess kurtosis, above these."""


@dataclass(frozen=True)
class Standard:
    """``z = (x - mean) / std``, cut to the bounds when decoded."""

    mean: float
    std: float
    low: float
    high: float

    @classmethod
    def fit(cls, x: Reals) -> Standard:
        """Mean and spread of a column (N,)."""
        return cls(float(x.mean()), float(x.std()) or 1.0, float(x.min()), float(x.max()))

    def encode(self, x: Reals, u: Reals | None = None) -> Reals:
        """(N,) standardised values."""
        return (x - self.mean) / self.std

    def decode(self, z: Reals) -> Reals:
        """(N,) values within the bounds."""
        return np.clip(z * self.std + self.mean, self.low, self.high)

    def log_slope(self, x: Reals) -> Reals:
        """``log |dz / dx|`` (N,)."""
        return np.full(len(x), -np.log(self.std))


@dataclass(frozen=True)
class Quantile:
    """Quantiles of the normal law by a piecewise linear distribution function.

    Attributes:
        knots: values, not falling; one that holds an atom stands twice.
        levels: the distribution function there, not falling, inside (0, 1); what lies beyond decodes to the bounds.
    """

    knots: tuple[float, ...]
    levels: tuple[float, ...]

    @classmethod
    def fit(cls, x: Reals) -> Quantile:
        """The distribution function of a column (N,)."""
        values, counts = np.unique(x, return_counts=True)
        upto = np.cumsum(counts) / len(x)
        before = upto - counts / len(x)
        atom = counts / len(x) > ATOM
        middle = (before + upto) / 2
        atom &= counts > 1
        kept = np.unique(
            np.concatenate([np.flatnonzero(atom), np.linspace(0, len(values) - 1, KNOTS).round().astype(int)])
        )
        knots: list[float] = []
        levels: list[float] = []
        for i in kept.tolist():
            steps = (before[i], upto[i]) if atom[i] else (middle[i],)
            knots += [float(values[i])] * len(steps)
            levels += [float(step) for step in steps]
        return cls(tuple(knots), tuple(levels))

    @property
    def smooth(self) -> bool:
        """Whether no value holds an atom, so that the column has a density."""
        return len(set(self.knots)) == len(self.knots)

    def encode(self, x: Reals, u: Reals | None = None) -> Reals:
        """(N,) normal quantiles; ``u`` (N,) in (0, 1) says where in an atom's step, None for its middle."""
        knots, levels = np.array(self.knots), np.array(self.levels)
        first, last = np.searchsorted(knots, x, "left"), np.searchsorted(knots, x, "right")
        level = np.interp(x, knots, levels)
        at = (last - first) > 1
        place = np.full(len(x), 0.5) if u is None else u
        bottom, top = levels[first.clip(0, len(levels) - 1)], levels[(last - 1).clip(0, len(levels) - 1)]
        level = np.where(at, bottom + place * (top - bottom), level)
        return np.asarray(scipy.special.ndtri(level.clip(EDGE, 1 - EDGE)))

    def decode(self, z: Reals) -> Reals:
        """(N,) values within the bounds."""
        u = scipy.special.ndtr(z)
        return np.asarray(np.interp(u, np.array(self.levels), np.array(self.knots)), dtype=np.float64)

    def log_slope(self, x: Reals) -> Reals:
        """``log |dz / dx|`` (N,), of a column without atoms; minus infinity outside the bounds."""
        knots, levels = np.array(self.knots), np.array(self.levels)
        right = np.searchsorted(knots, x, "right").clip(1, len(knots) - 1)
        slope = (levels[right] - levels[right - 1]) / (knots[right] - knots[right - 1])
        z = self.encode(x)
        inside = (x >= knots[0]) & (x <= knots[-1])
        with np.errstate(divide="ignore"):
            rate = np.log(slope) + 0.5 * z**2 + 0.5 * np.log(2 * np.pi)
        return np.where(inside, rate, -np.inf)


def far_from_normal(x: Reals, labels: NDArray[np.int64]) -> bool:
    """Whether a column is skewed or heavy-tailed within the classes, by which ``auto`` chooses quantiles.

    Args:
        x: (N,) values.
        labels: (N,) classes.
    """
    count = np.bincount(labels)
    mean = np.bincount(labels, x) / np.maximum(count, 1)
    rest = x - mean[labels]
    spread = np.sqrt(np.bincount(labels, rest**2) / np.maximum(count - 1, 1))
    use = (count[labels] >= 8) & (spread[labels] > 0)
    if use.sum() < 8:
        return False
    r = rest[use] / spread[labels[use]]
    skew, tail = float((r**3).mean()), float((r**4).mean() - 3)
    noise = np.sqrt(6 / len(r))
    atoms = np.unique(x, return_counts=True)[1].max() / len(x) > max(ATOM, 2 / len(x))
    return bool(atoms) or abs(skew) > SKEW + 2 * noise or tail > TAIL + 4 * noise
