"""What a classifier makes of training rows: scores on held-out rows."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.table_sets import Rows

CLASSIFIERS = ("logistic regression", "histogram gradient boosting")
SCORES = ("balanced accuracy", "macro-F1", "average precision")


def judged(train: Rows, test: Rows, categorical: Sequence[str], weight: str | None, seed: int) -> dict[str, Any]:
    """Scores of both classifiers, and the seconds that they took to fit."""
    started = time.perf_counter()
    scores = {}
    for name in CLASSIFIERS:
        model = classifier(name, categorical, weight, seed).fit(train.X, train.y)
        scores[name] = scored(test.y, model.predict(test.X), model.predict_proba(test.X))
    return {"scores": scores, "seconds to fit": time.perf_counter() - started}


def classifier(name: str, categorical: Sequence[str], weight: str | None, seed: int) -> Any:
    """A pipeline that takes the table as it is: scaled logistic regression, or boosting with its own categories."""
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

    names, linear = list(categorical), name == CLASSIFIERS[0]
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    rest = StandardScaler() if linear else "passthrough"
    encoder = make_column_transformer((one_hot if linear else codes, names), remainder=rest)
    if linear:
        return make_pipeline(encoder, LogisticRegression(max_iter=2000, class_weight=weight, random_state=seed))
    places = list(range(len(names))) or None
    boosting = HistGradientBoostingClassifier(
        categorical_features=places, class_weight=weight, early_stopping=False, random_state=seed
    )
    return make_pipeline(encoder, boosting)


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
