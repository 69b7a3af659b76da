"""Columns, nearest rows and the gain of a classifier, on tables whose answer is known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from evenscore.evaluation.table_classifiers import CLASSIFIERS, classifier
from evenscore.evaluation.table_columns import Columns
from evenscore.evaluation.table_distances import Points, copies, nearest
from evenscore.evaluation.table_gain import Change, Downstream, Gain, split
from evenscore.evaluation.table_inspection import repeated
from evenscore.evaluation.table_marginals import BINS, MISSING, REST, marginals

pandas = pytest.importorskip("pandas")


def one(**columns: Any) -> Any:
    return pandas.DataFrame(columns)


def test_shares_of_categories_and_of_few_whole_numbers_by_hand() -> None:
    real = one(level=["a", "a", "b", None], count=[1, 2, 2, 3])
    made = one(level=["a", "b", "b", "b"], count=[1, 1, 1, 5])
    level, count = marginals(real, made, Columns.of(real))
    assert level.bins == ("b", "a", MISSING)
    assert level.real == (0.25, 0.5, 0.25)
    assert level.made == (0.75, 0.25, 0.0)
    assert level.distance == pytest.approx(0.5)
    assert count.bins == ("1", "2", "3", "5")
    assert count.real == (0.25, 0.5, 0.25, 0)
    assert count.made == (0.75, 0, 0, 0.25)


def test_bins_of_numbers_are_shared_and_open_at_both_ends() -> None:
    random = np.random.default_rng(0)
    real, made = one(x=random.normal(size=4000)), one(x=random.normal(size=4000))
    (same,) = marginals(real, made, Columns.of(real))
    assert len(same.bins) == BINS
    assert sum(same.real) == pytest.approx(1)
    assert same.distance < 0.05
    (apart,) = marginals(real, made + 100, Columns.of(real))
    assert apart.distance == pytest.approx(1)
    (constant,) = marginals(one(x=[2.0, 2.0]), one(x=[2.0]), Columns.of(one(x=[2.0])))
    assert (constant.bins, constant.real, constant.made) == (("2",), (1.0,), (1.0,))


def test_bins_of_many_whole_numbers_are_equally_wide() -> None:
    real = one(age=np.arange(18, 91))
    (found,) = marginals(real, real, Columns.of(real))
    assert len(found.bins) <= BINS
    assert found.bins[0] == "18 to 21"
    assert found.real[1] == pytest.approx(4 / 73)


def test_rare_categories_stand_together() -> None:
    real = one(city=[f"c{i:02d}" for i in range(30)] + ["c00"] * 10)
    made = one(city=["never seen", "c00"])
    (found,) = marginals(real, made, Columns.of(real))
    assert found.bins[0] == "c00"
    assert found.bins[-1] == REST
    assert sum(found.real) == pytest.approx(1)
    assert sum(found.made) == pytest.approx(1)


def test_distances_by_hand() -> None:
    """Three columns; the unit of x is its deviation over the real rows of all classes, sqrt(2/3)."""
    real = one(x=[0.0, 1.0, 2.0], level=["a", "a", "b"], y=[np.nan, 5.0, 5.0])
    made = one(x=[0.0, 1.0], level=["a", "b"], y=[np.nan, 5.0])
    found = nearest(real, made, Points(real, Columns.of(real)), seed=0)
    unit = math.sqrt(2 / 3)
    step = 1 / unit**2
    assert found.real[0] == pytest.approx(math.sqrt((step + 0 + 2) / 3))
    assert sorted(found.real)[0] == pytest.approx(math.sqrt((step + 2) / 3))
    assert found.made[0] == pytest.approx(0)
    assert found.made[1] == pytest.approx(math.sqrt(min(step, 2) / 3))
    assert found.copies == 1


def test_new_rows_of_the_law_are_not_close_and_disturbed_ones_are() -> None:
    random = np.random.default_rng(0)

    def table(values: Any) -> Any:
        return one(**{f"x{i}": values[:, i] for i in range(4)})

    law = random.normal(size=(1500, 4))
    real, new, near = table(law), table(random.normal(size=(1500, 4))), table(law + 0.001)
    points = Points(real, Columns.of(real))
    assert nearest(real, new, points, 0).close < 0.03
    assert nearest(real, near, points, 0).close > 0.9
    assert nearest(real, near, points, 0).copies == 0
    assert nearest(real, real[:50], points, 0).copies == 50
    alone = nearest(real[:1], new, points, 0)
    assert math.isnan(alone.close)


def test_copies_know_missing_values_and_signs_of_zero() -> None:
    assert copies(np.array([[np.nan, 0.0]]), np.array([[np.nan, -0.0], [1.0, 0.0]])) == 1
    assert repeated(np.array([[1.0], [1.0], [1.0], [2.0]]), np.array([0, 0, 1, 1])) == (1, 3)


def test_folds_are_even_and_a_single_row_is_never_held_out() -> None:
    y = np.repeat([0, 1, 2], [30, 7, 1])
    where = split(y, 3, seed=0)
    assert np.bincount(where[y == 0]).tolist() == [10, 10, 10]
    assert sorted(np.bincount(where[y == 1], minlength=3).tolist()) == [2, 2, 3]
    assert where[y == 2].tolist() == [-1]


def experiment(resample: Any) -> tuple[Gain, ...]:
    random = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [200, 12, 1])
    X = one(x=random.normal(size=213) + 1.5 * y, level=np.where(random.random(213) < 0.5, "a", "b"))
    downstream = Downstream(X, y, Columns.of(X), resample, 3, 0)
    assert list(downstream.folds()) == [1, 2, 3]
    return downstream.gains()


def test_the_gain_of_nothing_is_nothing() -> None:
    seen: list[int] = []

    def same(X: Any, y: Any, fold: int) -> tuple[Any, Any]:
        seen.append(len(y))
        return X, y

    linear, boosting = experiment(same)
    assert sum(213 - n for n in seen) == 212, "every row but the single one is hidden once"
    assert (linear.name, boosting.name) == CLASSIFIERS
    for gain in (linear, boosting):
        assert gain.recall[2] is None
        assert all(each is not None and each.difference == 0 for each in gain.recall[:2])
        assert gain.mean("precision").difference == 0


def test_more_rows_of_a_rare_class_raise_its_recall() -> None:
    def repeat(X: Any, y: Any, fold: int) -> tuple[Any, Any]:
        more = np.tile(np.flatnonzero(y == 1), 20)
        return pandas.concat([X, X.iloc[more]], ignore_index=True), np.concatenate([y, y[more]])

    linear, _ = experiment(repeat)
    head, rare = linear.recall[:2]
    assert rare is not None
    assert rare.difference > 0.2
    assert rare.low is not None
    assert rare.low > 0
    assert head is not None
    assert head.difference < 0
    assert linear.mean("recall").balanced == pytest.approx((head.balanced + rare.balanced) / 2)
    assert Change(0.5, 0.75).difference == 0.25


def test_classifiers_take_missing_values_and_unseen_codes() -> None:
    random = np.random.default_rng(0)
    X = np.column_stack([random.normal(size=60), random.integers(0, 2, 60).astype(float)])
    y = (X[:, 1] > 0).astype(int)
    X[::7] = np.nan
    for name in CLASSIFIERS:
        model = classifier(name, [1], None, 0).fit(X, y)
        assert np.isfinite(model.predict_proba(np.array([[np.nan, 7.0], [0.0, np.nan]]))).all()
    many = classifier(CLASSIFIERS[1], [1], None, 0, [1000])
    assert many.categorical_features is None
