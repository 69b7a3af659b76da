"""How near generated rows of a class come to its real ones, beside how near the real ones come to each other.

Rows are compared as points: numbers in units of the standard deviation of the real rows of all classes, categories as one
coordinate for each level (the :data:`MOST_LEVELS` most frequent; others share one), so that two other categories lie the
root of 2 apart, as two independent numbers of one law do on average; what is missing stands at the mean and lies the root of
2 off in a coordinate of its own. The distance is Euclidean, divided by the root of the number of columns.

Law: a copy is a generated row that equals a real one of its class in every value. A generated row is close if it is nearer
to a real one than 99 of 100 real rows are to each other; were it a new real row, one in a hundred would be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenscore.evaluation.table_columns import Columns

MOST_ROWS = 2000
"""Rows of each side whose distance is taken."""
MOST_REAL = 20_000
"""Real rows among which the nearest is sought."""
MOST_LEVELS = 100
CLOSE = 0.01
Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Nearest:
    """Distances to the nearest real row of the same class.

    Attributes:
        real: from each real row to another (n,); empty where there is only one.
        made: from each generated row (m,).
        copies: generated rows that equal a real row, of all that were made.
    """

    real: Numbers
    made: Numbers
    copies: int

    @property
    def close(self) -> float:
        """Share of the generated rows that are close; NaN where there are no distances."""
        if not len(self.real) or not len(self.made):
            return math.nan
        return float((self.made < np.quantile(self.real, CLOSE)).mean())


class Points:
    """Rows as points, in units that the real rows of all classes give."""

    def __init__(self, real: Any, columns: Columns) -> None:
        """Learn the units from a data frame."""
        self.columns = columns
        self.units: dict[str, tuple[float, float]] = {}
        self.levels: dict[str, Numbers] = {}
        for name in columns.names:
            values = columns.numbers(real, name)
            known = values[np.isfinite(values)]
            if name in columns.categorical:
                levels, counts = np.unique(known, return_counts=True)
                self.levels[name] = levels[np.argsort(-counts, kind="stable")][:MOST_LEVELS]
            else:
                self.units[name] = (float(known.mean()), float(known.std()) or 1.0) if len(known) else (0.0, 1.0)

    def __call__(self, frame: Any) -> Numbers:
        """The rows of a data frame as points (n, D)."""
        parts = [self._part(self.columns.numbers(frame, name), name) for name in self.columns.names]
        return np.hstack(parts) / math.sqrt(len(parts))

    def _part(self, values: Numbers, name: str) -> Numbers:
        known = np.isfinite(values)
        if name in self.units:
            mean, unit = self.units[name]
            return np.column_stack([np.where(known, (values - mean) / unit, 0.0), np.where(known, 0.0, math.sqrt(2))])
        own = values[:, None] == self.levels[name]
        return np.column_stack([own, known & ~own.any(1), ~known]).astype(np.float64)


def nearest(real: Any, made: Any, points: Points, seed: int) -> Nearest:
    """Distances within one class.

    Args:
        real: its real rows, a data frame.
        made: its generated rows, with the same columns.
        points: of the whole table.
        seed: chooses rows where there are more than are looked at.
    """
    random = np.random.default_rng(seed)
    known = _some(points(real), MOST_REAL, random)
    asked, drawn = _some(known, MOST_ROWS, random), _some(points(made), MOST_ROWS, random)
    within = _distances(known, asked, 2)[:, 1] if len(known) > 1 else np.empty(0)
    towards = _distances(known, drawn, 1)[:, 0] if len(drawn) and len(known) else np.empty(0)
    return Nearest(within, towards, copies(points.columns.matrix(real), points.columns.matrix(made)))


def copies(real: Numbers, made: Numbers) -> int:
    """How many of the made rows (m, d) equal a real one (n, d); NaN equals NaN."""
    there = {row.tobytes() for row in _alike(real)}
    return sum(row.tobytes() in there for row in _alike(made))


def _alike(rows: Numbers) -> Numbers:
    """Equal values with equal bytes."""
    return np.where(np.isnan(rows), np.nan, rows + 0.0)


def _some(rows: Numbers, most: int, random: np.random.Generator) -> Numbers:
    return rows if len(rows) <= most else rows[random.choice(len(rows), most, replace=False)]


def _distances(known: Numbers, asked: Numbers, k: int) -> Numbers:
    """To the k nearest, ascending (n, k); a row that is among the known ones is its own nearest."""
    from sklearn.neighbors import NearestNeighbors

    found: Numbers = NearestNeighbors(n_neighbors=k).fit(known).kneighbors(asked)[0]
    return found
