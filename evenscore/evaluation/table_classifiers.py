"""The two classifiers by which tables are judged, on rows as numbers with categories as codes.

Law: both take missing values (NaN) and codes that they have not seen; logistic regression sees numbers scaled and
categories as one column for each level, histogram gradient boosting sees them as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

LINEAR, BOOSTING = "logistic regression", "histogram gradient boosting"
CLASSIFIERS = (LINEAR, BOOSTING)
MOST_LEVELS = 200
"""Boosting splits columns of so many categories at most by category, others by code."""
MOST_COLUMNS = 100
"""Of one column of categories; rarer levels share one."""


def classifier(name: str, places: Sequence[int], weight: str | None, seed: int, levels: Sequence[int] = ()) -> Any:
    """A scikit-learn classifier of matrices (n, d).

    Args:
        name: one of :data:`CLASSIFIERS`.
        places: positions of the columns that hold codes of categories.
        weight: of the classes, ``balanced`` or None.
        seed: of all draws.
        levels: how many codes each of these columns may have; few where nothing is said.
    """
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    if name == BOOSTING:
        few = [p for i, p in enumerate(places) if not levels or levels[i] <= MOST_LEVELS]
        return HistGradientBoostingClassifier(
            categorical_features=few or None, class_weight=weight, early_stopping=False, random_state=seed
        )
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False, max_categories=MOST_COLUMNS)
    numbers = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
    encoder = make_column_transformer((one_hot, list(places)), remainder=numbers)
    return make_pipeline(encoder, LogisticRegression(max_iter=2000, class_weight=weight, random_state=seed))
