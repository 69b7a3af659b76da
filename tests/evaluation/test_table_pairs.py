"""Associations of two columns against independent implementations and exact answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import chi2_contingency, spearmanr

from evenscore.evaluation.table_columns import Columns
from evenscore.evaluation.table_pairs import association, associations, correlation_error, cramers_v, pairs

pandas = pytest.importorskip("pandas")


def frame(n: int = 400, seed: int = 0) -> pandas.DataFrame:
    random = np.random.default_rng(seed)
    x = random.normal(size=n)
    return pandas.DataFrame(
        {
            "x": x,
            "y": x + random.normal(size=n),
            "count": random.integers(0, 9, n),
            "level": pandas.Categorical(np.where(x > 0.3, "high", np.where(x > -0.5, "middle", "low"))),
            "flag": x + random.normal(size=n) > 0,
            "same": 1.0,
        }
    )


def test_kinds_of_columns_and_their_numbers() -> None:
    table = frame()
    columns = Columns.of(table)
    assert columns.categorical == {"level": ("high", "low", "middle"), "flag": ("False", "True")}
    assert columns.integers == {"count"}
    assert columns.numeric == ("x", "y", "count", "same")
    other = pandas.DataFrame({**{n: table[n][:3] for n in table}, "level": ["low", "new", None], "flag": [True] * 3})
    assert columns.numbers(other, "level")[:2].tolist() == [1, 3]
    assert math.isnan(columns.numbers(other, "level")[2])
    assert columns.matrix(other).shape == (3, 6)
    assert columns.places() == [3, 4]


def test_associations_equal_independent_implementations() -> None:
    table = frame()
    matrix = associations(table, Columns.of(table))
    assert np.array_equal(matrix, matrix.T, equal_nan=True)
    assert matrix[0, 1] == pytest.approx(spearmanr(table["x"], table["y"]).statistic)
    assert np.isnan(matrix[5, :5]).all(), "a constant column has no association"
    ranks = table["x"].rank()
    means = ranks.groupby(table["level"], observed=True).transform("mean")
    assert matrix[0, 3] == pytest.approx(math.sqrt(means.var() / ranks.var()))
    n, counts = len(table), pandas.crosstab(table["level"], table["flag"]).to_numpy()
    phi = chi2_contingency(counts, correction=False).statistic / n - 2 / (n - 1)
    assert matrix[3, 4] == pytest.approx(math.sqrt(phi / (2 - 1 / (n - 1) - 1)))


def test_the_ends_of_the_scale() -> None:
    codes = np.repeat([0.0, 1.0, 2.0], 200)
    assert cramers_v(codes, codes) == pytest.approx(1, abs=1e-9)
    random = np.random.default_rng(0)
    assert np.mean([cramers_v(codes, random.permutation(codes)) for _ in range(50)]) < 0.05
    assert association(codes, np.exp(codes), False, False) == pytest.approx(1)
    assert association(codes, -codes, True, False) == pytest.approx(1)


def test_missing_values_do_not_count_and_few_rows_have_no_value() -> None:
    a, b = np.arange(30.0), np.arange(30.0) ** 2
    a[20:] = np.nan
    b[20] = -1
    assert association(a, b, False, False) == pytest.approx(1)
    assert math.isnan(association(a[:9], b[:9], False, False))


def test_errors_between_two_tables() -> None:
    real, columns = frame(), Columns.of(frame())
    assert pairs(real, real, columns).largest_error == 0
    broken = real.assign(y=np.random.default_rng(1).permutation(real["y"]))
    found = pairs(real, broken, columns)
    assert found.largest_error == pytest.approx(abs(found.difference[0, 1]))
    assert found.mean_error == pytest.approx(found.errors().mean())
    assert len(found.errors()) == 10
    assert correlation_error([found, pairs(real, real, columns)]) == pytest.approx(found.mean_error / 2)
    assert math.isnan(correlation_error([]))
