"""What estimators refuse, with the ecosystem's own exception types and one sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.exceptions import NotFittedError

from evenscore.sklearn import ScoreClassifier, ScoreGenerator, ScoreOverSampler

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(40, 3)), np.array([0] * 30 + [1] * 10)
QUICK: dict[str, Any] = {"correction": "never", "random_state": 0, "verbose": 0}
KINDS = [ScoreOverSampler, ScoreGenerator, ScoreClassifier]


def run(kind: type, X: Any, y: Any, **settings: Any) -> Any:
    made = kind(**{**QUICK, **settings})
    return made.fit_resample(X, y) if kind is ScoreOverSampler else made.fit(X, y)


def with_gap() -> np.ndarray:
    return np.where(np.arange(120).reshape(40, 3) == 5, np.nan, X)


REFUSED: list[tuple[Any, Any, dict[str, Any], type[Exception], str]] = [
    (pd.DataFrame({"a": [1.5, "x"] * 20}, dtype=object), Y, {}, ValueError, "mixes number and text"),
    (np.array([[1.5, "x"], [2.5, 3.0]] * 20, dtype=object), Y, {}, ValueError, "mixes number and text"),
    (with_gap(), Y, {"missing": "refuse"}, ValueError, "contains NaN"),
    (pd.DataFrame(with_gap()), Y, {"missing": "refuse"}, ValueError, "contains NaN: column '2' misses values"),
    (X, np.where(np.arange(40) == 3, np.nan, Y), {}, ValueError, "contains NaN"),
    (X * 1j, Y, {}, ValueError, "Complex data not supported"),
    (np.where(X > 2, np.inf, X) + np.where(X.max() == X, np.inf, 0), Y, {}, ValueError, "infinity"),
    (X, np.zeros(40), {}, ValueError, "one class|more than 1 class"),
    (X, RNG.normal(size=40), {}, ValueError, "Unknown label type"),
    (X, RNG.integers(0, 2, (40, 3)), {}, ValueError, "Multilabel|Unknown label"),
    (pd.DataFrame(X, columns=["a", "b", "a"]), Y, {}, ValueError, "'a' stands twice"),
    (X[:0], Y[:0], {}, ValueError, r"0 sample\(s\)"),
    (pd.DataFrame(X).iloc[:0], Y[:0], {}, ValueError, r"0 sample\(s\)|y.*empty|at least"),
    (X[:, :0], Y, {}, ValueError, r"0 feature\(s\)"),
    (X, Y[:30], {}, ValueError, "inconsistent numbers of samples"),
    (np.zeros((4, 3, 2)), Y[:4], {}, ValueError, "dim 3|3D"),
    (X, Y, {"objective": "cbmd"}, ValueError, "unknown objective 'cbmd': did you mean 'cbdm'"),
    (X, Y, {"steps": 0}, ValueError, "The 'steps' parameter of .* must be"),
    (X, Y, {"max_seconds": -1}, ValueError, "The 'max_seconds' parameter of .* must be"),
    (X, Y, {"numeric": "log"}, ValueError, "The 'numeric' parameter of .* must be"),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("X", "y", "settings", "error", "message"), REFUSED, ids=[r[4][:24] for r in REFUSED])
def test_wrong_input_is_refused(
    kind: type, X: Any, y: Any, settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        run(kind, X, y, **settings)


@pytest.mark.parametrize("kind", KINDS)
def test_sparse_tables_are_made_dense(kind: type) -> None:
    sparse = scipy.sparse.csr_matrix(np.where(np.abs(X) < 1, 0, X))
    made = run(kind, sparse, Y)
    if kind is ScoreOverSampler:
        assert scipy.sparse.issparse(made[0])
        assert made[0].shape == (60, 3)
    else:
        assert made.n_features_in_ == 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_class_of_one_row_gives_a_warning_and_a_result(kind: type) -> None:
    with pytest.warns(UserWarning, match=r"classes of at most 5 rows take their spread from all classes.*1 \(1\)"):
        made = run(kind, X[:31], Y[:31])
    if kind is ScoreOverSampler:
        assert np.bincount(made[1]).tolist() == [30, 30]
    else:
        assert made.classes_.tolist() == [0, 1]


@pytest.mark.parametrize("kind", KINDS)
def test_missing_values_are_a_pattern_unless_refused(kind: type) -> None:
    made = run(kind, with_gap(), Y)
    assert made is not None


def test_a_strategy_that_removes_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="over-sampling"):
        run(ScoreOverSampler, X, Y, sampling_strategy={0: 5, 1: 10})


def test_a_fitted_estimator_asks_for_the_same_columns() -> None:
    fitted = run(ScoreClassifier, X, Y)
    with pytest.raises(ValueError, match="X has 2 features, but ScoreClassifier is expecting 3 features"):
        fitted.predict(X[:, :2])
    with pytest.raises(NotFittedError):
        ScoreClassifier().predict(X)
    table = pd.DataFrame(X, columns=["a", "b", "c"])
    fitted = run(ScoreClassifier, table, Y)
    with pytest.raises(ValueError, match="could not convert string to float: 'x' in column 'a'"):
        fitted.predict(table.assign(a="x"))
    with pytest.raises(ValueError, match="contains NaN"):
        fitted.predict(table.assign(a=np.nan))
