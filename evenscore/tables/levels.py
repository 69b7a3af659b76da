"""Maps of one column of levels (categories, booleans, a few whole numbers) to real numbers, and back.

* :class:`Cuts`: one number. The levels stand in an order and share the normal law by their frequencies: level i is
  the interval of probabilities ``(F_(i-1), F_i)``, a row is drawn uniformly inside its interval and mapped by the
  normal quantile. Decoding finds the interval. So the column is standard normal exactly, whatever its levels, and
  every real number decodes to an observed level.
* :class:`OneHot`: one number for each level, +1 or -1 with noise; decoding takes the largest.
* :class:`Bits`: the binary digits of a level's rank by frequency as +1 and -1 (Chen, Zhang & Hinton 2023, "Analog
  Bits"); decoding takes the observed level whose bits are nearest.

Law: decoding an encoded level gives it back, and whatever is decoded is an observed level.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import scipy.special
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Places = NDArray[np.int64]
INSIDE = 1e-3
"""Drawn places keep this share of an interval from its ends, so that rounding cannot move them out."""


class LevelCode(Protocol):
    """A map of level numbers to vectors of :attr:`width` numbers and back."""

    @property
    def width(self) -> int:
        """Numbers of a level."""
        ...

    def encode(self, places: Places, u: Reals | None = None) -> Reals:
        """(N, width) of level numbers (N,); ``u`` (N,) in (0, 1) spreads them, None for the middle."""
        ...

    def decode(self, z: Reals) -> Places:
        """Level numbers (N,) of (N, width)."""
        ...


@dataclass(frozen=True)
class Cuts:
    """Intervals of the normal law.

    Attributes:
        order: level numbers in the order in which they stand on the line.
        shares: their frequencies, in that order, above 0, summing to 1.
    """

    order: tuple[int, ...]
    shares: tuple[float, ...]

    @classmethod
    def fit(cls, places: Places, order: tuple[int, ...]) -> Cuts:
        """From the level numbers (N,) of a column, all of ``order`` found."""
        counts = np.bincount(places, minlength=len(order))[list(order)]
        return cls(order, tuple((counts / counts.sum()).tolist()))

    @property
    def width(self) -> int:
        """One."""
        return 1

    def encode(self, places: Places, u: Reals | None = None) -> Reals:
        """(N, 1) normal quantiles."""
        rank = np.argsort(np.array(self.order))[places]
        upto = np.cumsum(np.array(self.shares))
        share = np.array(self.shares)[rank]
        place = np.full(len(places), 0.5) if u is None else INSIDE + (1 - 2 * INSIDE) * u
        level = upto[rank] - share + place * share
        return np.asarray(scipy.special.ndtri(level.clip(1e-12, 1 - 1e-12)))[:, None]

    def decode(self, z: Reals) -> Places:
        """Level numbers (N,)."""
        upto = np.cumsum(np.array(self.shares))
        rank = np.searchsorted(upto[:-1], scipy.special.ndtr(z[:, 0]), "right")
        return np.asarray(np.array(self.order, dtype=np.int64)[rank])


@dataclass(frozen=True)
class OneHot:
    """A number for each level."""

    size: int

    @property
    def width(self) -> int:
        """The number of levels."""
        return self.size

    def encode(self, places: Places, u: Reals | None = None) -> Reals:
        """(N, size) of +1 for the level and -1 elsewhere."""
        return np.asarray(2 * np.eye(self.size)[places] - 1)

    def decode(self, z: Reals) -> Places:
        """Level numbers (N,)."""
        return np.asarray(z.argmax(1), dtype=np.int64)


@dataclass(frozen=True)
class Bits:
    """Binary digits of the rank.

    Attributes:
        order: level numbers from the most to the least frequent.
    """

    order: tuple[int, ...]

    @property
    def width(self) -> int:
        """Digits of the largest rank."""
        return max(1, int(len(self.order) - 1).bit_length())

    @property
    def table(self) -> Reals:
        """(levels, width) digits of each rank, +1 or -1."""
        ranks = np.arange(len(self.order))[:, None]
        return np.asarray(2.0 * ((ranks >> np.arange(self.width)) & 1) - 1, dtype=np.float64)

    def encode(self, places: Places, u: Reals | None = None) -> Reals:
        """(N, width) digits."""
        return np.asarray(self.table[np.argsort(np.array(self.order))[places]])

    def decode(self, z: Reals) -> Places:
        """Level numbers (N,)."""
        rank = (z @ self.table.T).argmax(1)
        return np.asarray(np.array(self.order, dtype=np.int64)[rank])


CODES: Mapping[str, str] = {
    "cuts": "intervals of the normal law, one number a column",
    "one-hot": "a number for each level",
    "bits": "binary digits of the rank by frequency",
}
