"""How the columns of a table hang together, two by two, and how far generated rows are from real ones in that.

Two columns of numbers: Spearman's rank correlation, from -1 to 1. A column of numbers and one of categories: the
correlation ratio of the ranks, from 0 to 1. Two columns of categories: Cramer's V with the correction of Bergsma (2013,
Journal of the Korean Statistical Society 42), from 0 to 1. Law: rows in which one of the two is missing do not count; a
pair with fewer than :data:`LEAST` complete rows, or with a constant column, has no value (NaN).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenscore.evaluation.table_columns import Columns

LEAST = 10
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Associations of the columns of real and of generated rows.

    Attributes:
        names: of the columns (d,).
        real: matrix (d, d), symmetric, 1 on the diagonal.
        made: the same of generated rows.
    """

    names: tuple[str, ...]
    real: Matrix
    made: Matrix

    @property
    def difference(self) -> Matrix:
        """Made minus real (d, d)."""
        return self.made - self.real

    def errors(self) -> NDArray[np.float64]:
        """Absolute differences of the pairs that both have, each once."""
        found = np.abs(self.difference[np.triu_indices(len(self.names), 1)])
        return found[np.isfinite(found)]

    @property
    def mean_error(self) -> float:
        """Mean absolute difference, NaN where no pair has a value."""
        errors = self.errors()
        return float(errors.mean()) if len(errors) else math.nan

    @property
    def largest_error(self) -> float:
        """Largest absolute difference, NaN where no pair has a value."""
        errors = self.errors()
        return float(errors.max()) if len(errors) else math.nan


def pairs(real: Any, made: Any, columns: Columns) -> Pairs:
    """Associations of the columns of two data frames."""
    return Pairs(columns.names, associations(real, columns), associations(made, columns))


def associations(frame: Any, columns: Columns) -> Matrix:
    """The matrix (d, d) of one data frame."""
    values = [columns.numbers(frame, name) for name in columns.names]
    kinds = [name in columns.categorical for name in columns.names]
    matrix = np.eye(len(values))
    for i in range(len(values)):
        for j in range(i):
            matrix[i, j] = matrix[j, i] = association(values[i], values[j], kinds[i], kinds[j])
    return matrix


def association(a: Matrix, b: Matrix, a_categorical: object, b_categorical: object) -> float:
    """The association of two columns (n,), categories as codes, NaN where missing."""
    whole = np.isfinite(a) & np.isfinite(b)
    a, b = a[whole], b[whole]
    if len(a) < LEAST or np.ptp(a) == 0 or np.ptp(b) == 0:
        return math.nan
    if a_categorical and b_categorical:
        return cramers_v(a, b)
    if a_categorical:
        return correlation_ratio(a, b)
    if b_categorical:
        return correlation_ratio(b, a)
    return float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def correlation_ratio(codes: Matrix, values: Matrix) -> float:
    """Root of the share of the variance of the ranks of ``values`` that lies between categories."""
    ranks, groups = _ranks(values), np.unique(codes, return_inverse=True)[1]
    counts = np.bincount(groups)
    means = np.bincount(groups, ranks) / counts
    between = float(counts @ np.square(means - ranks.mean()))
    return math.sqrt(between / float(np.square(ranks - ranks.mean()).sum()))


def cramers_v(a: Matrix, b: Matrix) -> float:
    """Cramer's V of two columns of codes, corrected for its bias in small samples."""
    rows, columns = (np.unique(codes, return_inverse=True)[1] for codes in (a, b))
    n, shape = len(a), (int(rows.max()) + 1, int(columns.max()) + 1)
    table = np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)
    expected = np.outer(table.sum(1), table.sum(0)) / n
    phi = float((np.square(table - expected) / expected).sum()) / n
    r, c = (k - (k - 1) ** 2 / (n - 1) for k in shape)
    phi = max(0.0, phi - (shape[0] - 1) * (shape[1] - 1) / (n - 1))
    return math.sqrt(phi / max(min(r, c) - 1, 1e-12))


def _ranks(values: Matrix) -> Matrix:
    from scipy.stats import rankdata

    ranks: Matrix = rankdata(values)
    return ranks


def correlation_error(found: Sequence[Pairs]) -> float:
    """Mean over several pairs of matrices of their mean absolute difference; NaN where none has a value."""
    means = [each.mean_error for each in found if math.isfinite(each.mean_error)]
    return float(np.mean(means)) if means else math.nan
