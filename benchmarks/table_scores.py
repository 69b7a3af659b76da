"""What a classifier makes of training rows: scores on held-out rows."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.table_sets import Rows
from evenscore.evaluation.table_classifiers import CLASSIFIERS, classifier
from evenscore.evaluation.table_columns import Columns

SCORES = ("balanced accuracy", "macro-F1", "average precision")


def judged(train: Rows, test: Rows, weight: str | None, seed: int) -> dict[str, Any]:
    """Scores of both classifiers, and the seconds that they took to fit."""
    (X, held_out), places = numbers(train.X, test.X)
    started = time.process_time()
    scores = {}
    for name in CLASSIFIERS:
        model = classifier(name, places, weight, seed).fit(X, train.y)
        scores[name] = scored(test.y, model.predict(held_out), model.predict_proba(held_out))
    return {"scores": scores, "seconds to fit": time.process_time() - started}


def numbers(*tables: Any) -> tuple[list[NDArray[np.float64]], list[int]]:
    """Tables of the same columns as matrices, categories as codes of the first one, and the places of these columns."""
    if not hasattr(tables[0], "columns"):
        return [np.asarray(table, dtype=np.float64) for table in tables], []
    columns = Columns.of(tables[0])
    return [columns.matrix(table) for table in tables], columns.places()


def scored(y: NDArray[np.int64], predicted: NDArray[np.int64], likely: NDArray[np.float64]) -> Mapping[str, float]:
    """The three scores; average precision is the mean over classes of one against the rest.

    Args:
        y: true labels (n,).
        predicted: labels (n,).
        likely: probabilities (n, K), classes in order.
    """
    from sklearn.metrics import average_precision_score, balanced_accuracy_score, f1_score

    precisions = [average_precision_score(y == k, likely[:, k]) for k in range(likely.shape[1])]
    found = (balanced_accuracy_score(y, predicted), f1_score(y, predicted, average="macro"), np.mean(precisions))
    return dict(zip(SCORES, map(float, found), strict=True))
