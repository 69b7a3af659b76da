"""What generated rows are worth to a classifier: real rows that neither it nor the generator has seen, class by class.

Real rows are split into folds, each class evenly. For each fold the generator is fitted to the other folds alone, and each
classifier is fitted twice: to the real rows of the other folds, and to these with the generated ones. Both judge the same
held-out real rows. Law: no held-out row has been seen by what judges it, nor by what generated the rows it learned from. A
class of one row cannot be held out: it stays in training and is not judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenscore.evaluation.table_classifiers import CLASSIFIERS, classifier
from evenscore.evaluation.table_columns import Columns
from evenscore.metrics.interval import Resampling, normal, paired_bootstrap

Labels = NDArray[np.int64]
Resample = Callable[[Any, Labels, int], tuple[Any, Labels]]
"""Real rows (data frame), their labels, and a seed -> the same rows with generated ones."""
SIDES = ("real", "balanced")


@dataclass(frozen=True)
class Change:
    """A figure without and with generated rows, and the difference with its 95 % interval where there is one."""

    real: float
    balanced: float
    low: float | None = None
    high: float | None = None

    @property
    def difference(self) -> float:
        """Balanced minus real."""
        return self.balanced - self.real


@dataclass(frozen=True)
class Gain:
    """The figures of one classifier.

    Attributes:
        name: of the classifier.
        recall: share of the held-out rows of each class that are given to it, None for a class that was not judged.
        precision: average precision of each class against the rest, None likewise.
    """

    name: str
    recall: tuple[Change | None, ...]
    precision: tuple[Change | None, ...]

    def mean(self, what: str) -> Change:
        """The mean over the judged classes of ``recall`` (balanced accuracy) or ``precision``."""
        there = [each for each in getattr(self, what) if each is not None]
        return Change(*(float(np.mean([getattr(each, side) for each in there])) for side in SIDES))


@dataclass
class Downstream:
    """The experiment; iterate over :meth:`folds` to have it done.

    Attributes:
        X: real rows, a data frame.
        y: their labels (n,) from 0, every class at least once.
        columns: what the columns are.
        resample: adds generated rows.
        count: number of folds.
        seed: of the folds and the classifiers.
    """

    X: Any
    y: Labels
    columns: Columns
    resample: Resample
    count: int = 3
    seed: int = 0
    likely: dict[tuple[str, str], NDArray[np.float64]] = field(default_factory=dict)

    def folds(self) -> Iterator[int]:
        """Do one fold after the other; gives the number of those that are done."""
        where, classes = split(self.y, self.count, self.seed), int(self.y.max()) + 1
        self.likely = {(name, side): np.full((len(self.y), classes), np.nan) for name in CLASSIFIERS for side in SIDES}
        for fold in range(self.count):
            held_out = np.flatnonzero(where == fold)
            rest = np.flatnonzero(where != fold)
            own = self.X.iloc[rest].reset_index(drop=True), self.y[rest]
            both = self.resample(*own, fold)
            for side, (X, y) in zip(SIDES, (own, both), strict=True):
                for name in CLASSIFIERS:
                    self.likely[name, side][held_out] = self._judge(name, X, y, held_out, classes)
            yield fold + 1

    def _judge(self, name: str, X: Any, y: Labels, held_out: Labels, classes: int) -> NDArray[np.float64]:
        places = self.columns.places()
        levels = [len(self.columns.categorical[self.columns.names[p]]) for p in places]
        model = classifier(name, places, None, self.seed, levels).fit(self.columns.matrix(X), y)
        found = np.zeros((len(held_out), classes))
        found[:, model.classes_] = model.predict_proba(self.columns.matrix(self.X.iloc[held_out]))
        return found

    def gains(self) -> tuple[Gain, ...]:
        """The figures of every classifier, once all folds are done."""
        return tuple(self._gain(name) for name in CLASSIFIERS)

    def _gain(self, name: str) -> Gain:
        real, balanced = (self.likely[name, side] for side in SIDES)
        judged = np.isfinite(real).all(1)
        classes = range(real.shape[1])
        recalls = tuple(_recall(real, balanced, judged & (self.y == k), k, self.seed) for k in classes)
        precisions = tuple(_precision(real[judged], balanced[judged], self.y[judged] == k, k) for k in classes)
        return Gain(name, recalls, precisions)


def split(y: Labels, count: int, seed: int) -> Labels:
    """The fold of each row (n,), -1 for the row of a class that has only one; classes spread evenly."""
    random, where = np.random.default_rng(seed), np.full(len(y), -1)
    for k in np.unique(y):
        rows = random.permutation(np.flatnonzero(y == k))
        if len(rows) > 1:
            where[rows] = (np.arange(len(rows)) + random.integers(count)) % count
    return where


def _recall(
    real: NDArray[np.float64], balanced: NDArray[np.float64], rows: NDArray[np.bool_], k: int, seed: int
) -> Change | None:
    if not rows.any():
        return None
    right: Sequence[Any] = [(likely[rows].argmax(1) == k).astype(np.float64) for likely in (real, balanced)]
    means = [float(side.mean()) for side in right]
    if len(right[0]) < 2:
        return Change(means[0], means[1])
    ends = normal(paired_bootstrap(right[1].tolist(), right[0].tolist(), Resampling(seed)))
    return Change(means[0], means[1], *ends)


def _precision(
    real: NDArray[np.float64], balanced: NDArray[np.float64], own: NDArray[np.bool_], k: int
) -> Change | None:
    from sklearn.metrics import average_precision_score

    if not own.any():
        return None
    return Change(*(float(average_precision_score(own, likely[:, k])) for likely in (real, balanced)))
