"""What all three estimators do as scikit-learn's do: clone, pickle, repeat themselves, and ask nothing of the order of rows."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

from evenscore.sklearn import ScoreClassifier, ScoreGenerator, ScoreOverSampler

RNG = np.random.default_rng(0)
X = np.concatenate([RNG.normal(size=(900, 3)), RNG.normal(size=(250, 3)) @ RNG.normal(size=(3, 3)) + 1.0])
X[:900, 1] = np.where(RNG.random(900) < 0.5, -2.0, 2.0) + 0.4 * X[:900, 1]
Y = np.repeat([0, 1], [900, 250])
KINDS = [ScoreOverSampler, ScoreGenerator, ScoreClassifier]
NETWORK: dict[str, Any] = {"correction": "always", "steps": 2}


def made(kind: type, **settings: Any) -> Any:
    return kind(**{"random_state": 0, "verbose": 0, "correction": "never", **settings})


def outcome(estimator: Any, X: Any = X, y: Any = Y) -> np.ndarray:
    """What an estimator gives: new rows, drawn rows with densities, or probabilities at fixed places."""
    if isinstance(estimator, ScoreOverSampler):
        return np.asarray(estimator.fit_resample(X, y)[0][len(X) :])
    fitted = estimator.fit(X, y)
    return given(fitted)


def given(fitted: Any) -> np.ndarray:
    if isinstance(fitted, ScoreClassifier):
        return np.asarray(fitted.predict_proba(X[::40]))
    return np.column_stack([fitted.sample(200, np.arange(200) % 2)[0], fitted.score_samples(X[:200], Y[:200])])


@pytest.mark.parametrize("settings", [{}, NETWORK], ids=["closed", "network"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_random_state_gives_the_same_and_a_clone_too(kind: type, settings: dict[str, Any]) -> None:
    one = made(kind, **settings)
    first = outcome(one)
    np.testing.assert_array_equal(first, outcome(made(kind, **settings)))
    copy = clone(one)
    assert copy.get_params() == one.get_params()
    assert not hasattr(copy, "fitted_")
    np.testing.assert_array_equal(first, outcome(copy))
    assert not np.array_equal(first, outcome(made(kind, random_state=1, **settings))) or kind is ScoreClassifier


@pytest.mark.parametrize("kind", [ScoreGenerator, ScoreClassifier])
def test_a_fitted_estimator_survives_pickle(kind: type) -> None:
    fitted = made(kind, **NETWORK).fit(X, Y)
    fitted.fitted_.model.weights[0] = 0.5
    np.testing.assert_array_equal(given(pickle.loads(pickle.dumps(fitted))), given(fitted))


def test_a_fitted_over_sampler_survives_pickle() -> None:
    sampler = made(ScoreOverSampler)
    before = outcome(sampler)
    back = pickle.loads(pickle.dumps(sampler))
    assert back.sampling_strategy_ == sampler.sampling_strategy_
    np.testing.assert_array_equal(outcome(back), before)


@pytest.mark.parametrize("kind", [ScoreOverSampler, ScoreGenerator])
def test_the_order_of_rows_matters_no_more_than_sampling_noise(kind: type) -> None:
    order = RNG.permutation(len(X))
    one, two = (drawn(made(kind), X[o], Y[o]) for o in (np.arange(len(X)), order))
    error = np.abs(one.mean(0) - two.mean(0)) / np.sqrt((one.var(0) + two.var(0)) / len(one))
    assert error.max() < 4
    np.testing.assert_allclose(one.std(0), two.std(0), rtol=0.12)


def drawn(estimator: Any, X: Any, y: Any) -> np.ndarray:
    """2000 rows of the small class."""
    if isinstance(estimator, ScoreOverSampler):
        estimator.set_params(sampling_strategy={0: 900, 1: 2250})
        return np.asarray(estimator.fit_resample(X, y)[0][len(X) :])
    return np.asarray(estimator.fit(X, y).sample(2000, 1)[0])


def test_the_order_of_rows_hardly_moves_a_posterior() -> None:
    order = RNG.permutation(len(X))
    one, two = outcome(made(ScoreClassifier)), outcome(made(ScoreClassifier), X[order], Y[order])
    assert np.abs(one - two).mean() < 0.03
