"""Tables that come with scikit-learn or are generated, made unequal, with a held-out part that is not.

Law: the pool and the held-out part of a set are fixed; what a seed chooses is which rows of the pool are kept. Classes are
ranked by their rows in the pool, and kept as in :mod:`evenscore.data.longtail` (exponential profile), but never fewer than
:data:`LEAST` rows of one: where the factor asks for fewer, a note says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.mixed_rows import BOOLEANS, CATEGORIES, mixed_rows
from evenscore.data.builtin import stratified_split
from evenscore.data.longtail import LongTail, long_tail_counts, long_tail_indices

LEAST = 2
HELD_OUT = 0.4
LARGEST = 2000
"""Rows of the largest class of a generated set."""


@dataclass(frozen=True, eq=False)
class Rows:
    """A table: array or data frame (n, d), and labels (n,) from 0."""

    X: Any
    y: NDArray[np.int64]

    def take(self, index: NDArray[np.int64]) -> Rows:
        """Some of the rows, in the order of ``index``."""
        return Rows(
            self.X.iloc[index].reset_index(drop=True) if hasattr(self.X, "iloc") else self.X[index], self.y[index]
        )

    @property
    def counts(self) -> list[int]:
        """Rows of each class."""
        return np.bincount(self.y).tolist()


@dataclass(frozen=True, eq=False)
class TableSet:
    """A data set of the benchmark.

    Attributes:
        train: the pool, or what was kept of it.
        test: held-out rows, never made unequal.
        categorical: names of columns that are not numbers; empty for an array.
        notes: what was not as asked, sentences.
    """

    train: Rows
    test: Rows
    categorical: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def unequal(self, factor: float, seed: int, largest: int | None = None) -> TableSet:
        """The set with a part of its pool.

        Args:
            factor: largest class over the smallest.
            seed: of the rows that are kept.
            largest: upper bound of the largest class.
        """
        have = np.bincount(self.train.y)
        order = np.argsort(-have, kind="stable")
        most = min(int(have.max()), largest or int(have.max()))
        asked = np.array(long_tail_counts(most, len(have), LongTail(factor)))
        counts = np.empty_like(have)
        counts[order] = np.maximum(LEAST, asked)
        index = long_tail_indices(self.train.y, np.minimum(counts, have).tolist(), seed)
        few = int((asked < LEAST).sum())
        notes = (f"{few} of {len(have)} classes would have fewer than {LEAST} rows and have {LEAST}",) if few else ()
        return replace(self, train=self.train.take(np.random.default_rng(seed).permutation(index)), notes=notes)

    def encoded(self) -> TableSet:
        """The set in numbers: categories as one column for each level."""
        if not self.categorical:
            return self
        from sklearn.compose import make_column_transformer
        from sklearn.preprocessing import OneHotEncoder

        one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
        encoder = make_column_transformer((one_hot, list(self.categorical)), remainder="passthrough")
        train = np.asarray(encoder.fit_transform(self.train.X), dtype=np.float64)
        test = np.asarray(encoder.transform(self.test.X), dtype=np.float64)
        return replace(self, train=Rows(train, self.train.y), test=Rows(test, self.test.y), categorical=())


def _split(X: Any, y: Any, share: float = HELD_OUT) -> TableSet:
    rows = Rows(np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.int64))
    return TableSet(*(rows.take(index) for index in stratified_split(rows.y, share)))


def _with_scikit_learn(name: str) -> TableSet:
    import sklearn.datasets

    return _split(*getattr(sklearn.datasets, f"load_{name}")(return_X_y=True))


def _generated(classes: int = 2, **shape: Any) -> TableSet:
    from sklearn.datasets import make_classification

    return _split(*make_classification(4000 * classes, n_classes=classes, random_state=0, **shape))


def _mixed() -> TableSet:
    pool, test = Rows(*mixed_rows((2400, 2400), 0)), Rows(*mixed_rows((1600, 1600), 1))
    return TableSet(pool, test, (*CATEGORIES, *BOOLEANS))


SETS: Mapping[str, Callable[[], TableSet]] = {
    "breast_cancer": lambda: _with_scikit_learn("breast_cancer"),
    "wine": lambda: _with_scikit_learn("wine"),
    "digits": lambda: _with_scikit_learn("digits"),
    "few informative": lambda: _generated(n_features=20, n_informative=3, n_redundant=2),
    "many informative": lambda: _generated(n_features=30, n_informative=20, n_redundant=5),
    "overlapping": lambda: _generated(n_features=10, n_informative=5, n_redundant=2, class_sep=0.5, flip_y=0.05),
    "multi-class": lambda: _generated(5, n_features=15, n_informative=10, n_redundant=2, n_clusters_per_class=1),
    "mixed": _mixed,
}
"""Every set by its name; the generated ones have 2400 rows of each class in the pool and 1600 held out."""
