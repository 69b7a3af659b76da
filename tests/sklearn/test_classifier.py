"""The classifier: Bayes' rule, exactly so for Gaussian classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis

from evenscore.sklearn import ScoreClassifier

RNG = np.random.default_rng(0)
COUNTS = (900, 100)
X = np.concatenate([RNG.normal(size=(900, 2)), RNG.normal(size=(100, 2)) * [0.5, 2.0] + 1.5])
Y = np.repeat([3, 7], COUNTS)


def classifier(**settings: Any) -> ScoreClassifier:
    return ScoreClassifier(**{"correction": "never", "random_state": 0, "verbose": 0, **settings})


def test_the_posterior_of_gaussian_classes_is_that_of_quadratic_discriminants() -> None:
    peer = QuadraticDiscriminantAnalysis(priors=[0.5, 0.5]).fit(X, Y)
    mine = classifier().fit(X, Y)
    apart = np.abs(mine.predict_proba(X) - peer.predict_proba(X))
    assert apart.mean() < 0.01
    assert apart.max() < 0.08


@pytest.mark.parametrize("priors", ["uniform", "train", [0.2, 0.8]])
def test_priors_move_the_log_odds_by_their_own(priors: Any) -> None:
    mine, plain = classifier(priors=priors).fit(X, Y), classifier().fit(X, Y)
    given = {"uniform": [0.5, 0.5], "train": [0.9, 0.1]}.get(priors) if isinstance(priors, str) else priors
    np.testing.assert_allclose(mine.priors_, given)
    moved = mine.decision_function(X) - plain.decision_function(X)
    np.testing.assert_allclose(moved, np.log(mine.priors_[1] / mine.priors_[0]))


def test_predictions_probabilities_and_decisions_agree() -> None:
    three = np.where(X[:, 0] > 1, 9, Y)
    for labels in (Y, three):
        mine = classifier().fit(X, labels)
        proba, decision = mine.predict_proba(X), mine.decision_function(X)
        np.testing.assert_allclose(proba.sum(1), 1)
        np.testing.assert_array_equal(mine.predict(X), mine.classes_[proba.argmax(1)])
        best = (decision > 0).astype(int) if decision.ndim == 1 else decision.argmax(1)
        np.testing.assert_array_equal(best, proba.argmax(1))


def test_denoising_errors_decide_as_likelihoods_do() -> None:
    exact, bound = classifier().fit(X, Y), classifier(method="denoising").fit(X, Y)
    assert (exact.predict(X) == bound.predict(X)).mean() > 0.92
    np.testing.assert_allclose(bound.predict_proba(X[5:7]), bound.predict_proba(X)[5:7])


def test_a_corrected_class_is_judged_by_denoising_errors() -> None:
    mine = classifier(correction="always", steps=2, draws=4).fit(X[800:], Y[800:])
    mine.fitted_.model.weights[:] = 0.5
    assert mine.predict_proba(X[:3]).shape == (3, 2)
    likelihood = mine.set_params(method="likelihood").predict_proba(X[:2])
    np.testing.assert_allclose(likelihood.sum(1), 1)


def test_tables_with_levels_are_classified() -> None:
    table = pd.DataFrame({"real": X[:, 0], "name": np.where(X[:, 1] > 1, "a", "b")})
    assert classifier().fit(table, Y).score(table, Y) > 0.7


@pytest.mark.parametrize("priors", [[0.5], [1.0, 0.0], [0.2, 0.3, 0.5]])
def test_priors_that_do_not_fit_are_refused(priors: list[float]) -> None:
    with pytest.raises(ValueError, match="do not fit 2 classes: give one number above 0 for each"):
        classifier(priors=priors).fit(X, Y)
