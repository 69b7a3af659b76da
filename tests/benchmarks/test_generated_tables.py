"""What the benchmarks of mixed-type rows and of Gaussian classes measure, on rows whose answer is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.exact_table import COUNTS, DIMENSION, NATS, QUICK, Gaussians, apart, least, within
from benchmarks.mixed_rows import mixed_rows
from benchmarks.mixed_table import error, invalid, told_apart
from evenscore.evaluation.table_columns import Columns


@pytest.fixture(scope="module")
def real() -> Any:
    return mixed_rows((300, 300), 0)


def test_what_cannot_be_is_counted(real: Any) -> None:
    made = real[0].copy()
    assert set(invalid(real[0], made).values()) == {0}
    made["hour"] = made["hour"].astype(float)
    made.loc[:1, "hour"] = 3.5
    made.loc[:2, "share"] = 1.5
    made["region"] = made["region"].astype(str)
    made.loc[:3, "region"] = "nowhere"
    assert invalid(real[0], made) == {"category": 4, "whole number": 2, "bound": 3, "type": 1200}


def test_equal_laws_are_not_told_apart_and_others_are(real: Any) -> None:
    other, columns = mixed_rows((300, 300), 1), Columns.of(real[0])
    assert told_apart(real, other, columns, 0) < 0.6
    shuffled = other[0].copy()
    for name in shuffled:
        shuffled[name] = np.random.default_rng(len(name)).permutation(shuffled[name])
    assert told_apart(real, (shuffled, other[1]), columns, 0) > 0.7
    assert error(real, (shuffled, other[1]), columns) > 1.5 * error(real, other, columns)


def test_moments_of_the_law_itself_are_within_three_errors() -> None:
    law = Gaussians.of(2, 3, seed=1)
    X, y = law.rows((4000, 3000), seed=2)
    found = within(law, 1, 3000, X[y == 1])
    assert found["outside"] == 0
    assert found["entries"] == 3 + 6
    shifted = within(law, 1, 3000, X[y == 1] + 4.2 * np.sqrt(np.diag(law.covariances[1]) * 2 / 3000))
    assert shifted["outside"] >= 2
    assert within(law, 1, 3000, 1.2 * (X[y == 1] - law.means[1]) + law.means[1])["largest, covariance"] > 3


def test_log_densities_are_those_of_the_law() -> None:
    law = Gaussians(np.array([[0.0], [1.0]]), np.array([[[1.0]], [[4.0]]]))
    X, y = np.array([[0.0], [3.0]]), np.array([0, 1])
    exact = [-0.5 * np.log(2 * np.pi), -0.5 * np.log(2 * np.pi * 4) - 0.5]
    assert law.log_density(X, y) == pytest.approx(exact)
    assert apart(np.array([0.1, -0.3]), y) == {
        "mean": pytest.approx(-0.1),
        "mean absolute": pytest.approx(0.2),
        "by class": [pytest.approx(0.1), pytest.approx(-0.3)],
    }
    fitted = Gaussians.fitted(*law.rows((5000, 5000), 0))
    assert fitted.means.ravel() == pytest.approx([0, 1], abs=0.1)


def test_no_gaussian_law_that_is_fitted_comes_nearer_on_average() -> None:
    """100 fits to 60 rows of three numbers miss by D (D+3) / (4 n) nats a row and a little more, as n is finite."""
    missed = []
    for seed in range(100):
        law = Gaussians.of(1, 3, seed=seed)
        fitted = Gaussians.fitted(*law.rows((60,), seed=1000 + seed))
        unseen = law.rows((2000,), seed=2000 + seed)
        missed.append(float((law.log_density(*unseen) - fitted.log_density(*unseen)).mean()))
    assert np.mean(missed) == pytest.approx(least((60,), 3), rel=0.25)
    assert least((60,), 3) == pytest.approx(18 / 240)
    assert max(least((n,), DIMENSION) for n in (*COUNTS, *QUICK)) < NATS
