"""The ecosystem's own test suites on the estimators; what is expected to fail stands in a table with its reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import imblearn.utils.estimator_checks as imblearn_checks
import sklearn.utils.estimator_checks as sklearn_checks

from evenscore.sklearn import ScoreClassifier, ScoreGenerator, ScoreOverSampler

QUICK = {"steps": 2, "random_state": 0, "verbose": 0}
ESTIMATORS = [ScoreOverSampler(**QUICK), ScoreGenerator(**QUICK), ScoreClassifier(**QUICK)]
EXPECTED: dict[str, dict[str, str]] = {"ScoreOverSampler": {}, "ScoreGenerator": {}, "ScoreClassifier": {}}


def expected(estimator: Any) -> dict[str, str]:
    """Checks of an estimator that are expected to fail, and why."""
    return EXPECTED[type(estimator).__name__]


@imblearn_checks.parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected)
def test_checks_of_imbalanced_learn(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)
    assert estimator.get_params()["steps"] == QUICK["steps"]


@sklearn_checks.parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected)
def test_checks_of_scikit_learn(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)
    assert estimator.get_params()["steps"] == QUICK["steps"]
