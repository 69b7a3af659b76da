"""Ways to learn from an unequal table, as scikit-learn and imbalanced-learn have them, and ours beside them.

Law: a method sees the training rows and a seed only. Neighbours of a class are never more than it has other rows:
``min(5, n - 1)``, where imbalanced-learn would refuse.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.table_sets import Rows
from evenscore.errors import UsageError, unknown

NEIGHBOURS = 5
OURS = "evenscore"
Build = Callable[[int, Sequence[str], int], Any]
"""Neighbours, names of columns that are not numbers, seed -> a resampler."""


@dataclass(frozen=True)
class Method:
    """One way.

    Attributes:
        build: makes the resampler, None for none.
        class_weight: of the classifier.
        numbers: whether it needs every column as a number (``encoded``) or takes the table ``as-is``.
    """

    build: Build | None = None
    class_weight: str | None = None
    numbers: str = "as-is"

    def resampled(self, rows: Rows, categorical: Sequence[str], seed: int) -> Rows:
        """The rows to learn from."""
        if self.build is None:
            return rows
        fewest = int(np.bincount(rows.y).min())
        X, y = self.build(min(NEIGHBOURS, fewest - 1), categorical, seed).fit_resample(rows.X, rows.y)
        return Rows(X, labels(y))


def labels(y: Any) -> NDArray[np.int64]:
    """Labels as a resampler returned them, as an array."""
    return np.asarray(y, dtype=np.int64)


def _random(neighbours: int, categorical: Sequence[str], seed: int) -> Any:
    from imblearn.over_sampling import RandomOverSampler

    return RandomOverSampler(random_state=seed)


def _smote(neighbours: int, categorical: Sequence[str], seed: int) -> Any:
    from imblearn.over_sampling import SMOTE, SMOTENC

    if categorical:
        return SMOTENC(list(categorical), k_neighbors=neighbours, random_state=seed)
    return SMOTE(k_neighbors=neighbours, random_state=seed)


def _adasyn(neighbours: int, categorical: Sequence[str], seed: int) -> Any:
    from imblearn.over_sampling import ADASYN

    return ADASYN(n_neighbors=neighbours, random_state=seed)


def _borderline(neighbours: int, categorical: Sequence[str], seed: int) -> Any:
    from imblearn.over_sampling import BorderlineSMOTE

    return BorderlineSMOTE(k_neighbors=neighbours, random_state=seed)


METHODS: Mapping[str, Method] = {
    "none": Method(),
    "class weights": Method(class_weight="balanced"),
    "random": Method(_random),
    "SMOTE": Method(_smote),
    "ADASYN": Method(_adasyn, numbers="encoded"),
    "BorderlineSMOTE": Method(_borderline, numbers="encoded"),
}
"""The others; SMOTE is SMOTENC where the table has columns that are not numbers."""


def method_of(name: str) -> Method:
    """A method by its name; ours takes settings: ``evenscore:objective=denoising,minutes=1``.

    Raises:
        UsageError: there is none of this name, or a setting that is not ``key=value``.
    """
    ours, _, settings = name.partition(":")
    if ours != OURS:
        if name not in METHODS:
            raise unknown("method", name, [*METHODS, OURS])
        return METHODS[name]
    chosen = dict(_setting(word) for word in settings.split(",") if word)

    def build(neighbours: int, categorical: Sequence[str], seed: int) -> Any:
        from evenscore.sklearn import ScoreOverSampler

        return ScoreOverSampler(**{"random_state": seed, "verbose": 0, **chosen})

    return Method(build)


def _setting(word: str) -> tuple[str, Any]:
    key, equals, text = word.partition("=")
    if not equals:
        raise UsageError(f"setting {word!r} of a method: give key=value")
    try:
        return key, ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return key, text
