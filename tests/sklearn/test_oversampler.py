"""The over-sampler where SMOTE stands: what comes out, from what goes in."""

from __future__ import annotations

import importlib
import pickle
import sys
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from imblearn.pipeline import make_pipeline
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression

from evenscore.sklearn import ScoreOverSampler

X, Y = make_classification(220, 5, n_redundant=0, weights=[0.9], class_sep=2, random_state=0)
COUNTS = np.bincount(Y)


def sampler(**settings: Any) -> ScoreOverSampler:
    return ScoreOverSampler(**{"random_state": 0, "verbose": 0, **settings})


def mixed() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(X, columns=list("abcde"))
    table["whole"] = np.rint(20 * X[:, 0]).astype(int)
    table["city"] = rng.choice(["Ulm", "Bonn", "Kiel"], len(X))
    table["flag"] = X[:, 1] > 0
    table.loc[::6, "a"] = np.nan
    return table


def test_rows_come_first_and_synthetic_ones_follow() -> None:
    new, labels = sampler().fit_resample(X, Y)
    assert np.bincount(labels).tolist() == [COUNTS[0], COUNTS[0]]
    np.testing.assert_array_equal(new[: len(X)], X)
    assert set(labels[len(X) :]) == {1}
    assert len(np.unique(new, axis=0)) == len(new)


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("minority", {0: COUNTS[0], 1: COUNTS[0]}),
        (0.5, {0: COUNTS[0], 1: COUNTS[0] // 2}),
        ({1: 60}, {0: COUNTS[0], 1: 60}),
        (lambda y: {1: (y == 1).sum() + 3}, {0: COUNTS[0], 1: COUNTS[1] + 3}),
    ],
)
def test_strategies_are_those_of_imbalanced_learn(strategy: Any, expected: dict[int, int]) -> None:
    _, labels = sampler(sampling_strategy=strategy).fit_resample(X, Y)
    assert dict(enumerate(np.bincount(labels).tolist())) == expected


def test_a_balanced_table_is_left_as_it_is() -> None:
    balanced = np.arange(len(X)) % 2
    new, labels = sampler().fit_resample(X, balanced)
    np.testing.assert_array_equal(new, X)
    np.testing.assert_array_equal(labels, balanced)


def test_pandas_tables_keep_dtypes_levels_and_missing_values() -> None:
    table = mixed()
    new, labels = sampler().fit_resample(table, pd.Series(np.where(Y == 1, "yes", "no"), name="fraud"))
    assert (new.dtypes == table.dtypes).all()
    assert labels.name == "fraud"
    pd.testing.assert_frame_equal(new.iloc[: len(X)], table)
    made = new.iloc[len(X) :]
    assert set(made["city"]) <= set(table["city"])
    assert made["whole"].between(table["whole"].min(), table["whole"].max()).all()
    assert 0.05 < made["a"].isna().mean() < 0.35


def test_polars_tables_stay_polars() -> None:
    table = pl.from_pandas(mixed())
    new, labels = sampler().fit_resample(table, pl.Series("fraud", Y))
    assert new.schema == table.schema
    assert isinstance(labels, pl.Series)
    assert len(new) == len(labels) == 2 * COUNTS[0]


def test_the_same_random_state_gives_the_same_rows_also_with_a_network() -> None:
    for settings in ({}, {"correction": "always", "steps": 2}):
        one, two = sampler(**settings), sampler(**settings)
        np.testing.assert_array_equal(one.fit_resample(X, Y)[0], two.fit_resample(X, Y)[0])
        np.testing.assert_array_equal(clone(one).fit_resample(X, Y)[0], one.fit_resample(X, Y)[0])
    other = sampler(random_state=1).fit_resample(X, Y)[0]
    assert not np.allclose(other, sampler().fit_resample(X, Y)[0])


def test_the_order_of_rows_matters_no_more_than_sampling_noise() -> None:
    order = np.random.default_rng(0).permutation(len(X))
    settings: dict[str, Any] = {"sampling_strategy": {0: COUNTS[0], 1: 2000}}
    one = sampler(**settings).fit_resample(X, Y)[0][len(X) :]
    two = sampler(**settings).fit_resample(X[order], Y[order])[0][len(X) :]
    error = np.abs(one.mean(0) - two.mean(0)) / np.sqrt((one.var(0) + two.var(0)) / len(one))
    assert error.max() < 4
    np.testing.assert_allclose(one.std(0), two.std(0), rtol=0.1)


def test_classes_of_one_to_five_rows_give_a_warning_and_rows() -> None:
    for rows in (1, 2, 5):
        some = np.concatenate([np.flatnonzero(Y == 0), np.flatnonzero(Y == 1)[:rows]])
        with pytest.warns(UserWarning, match=rf"classes of at most 5 rows take their spread.*1 \({rows}\)"):
            new, labels = sampler().fit_resample(X[some], Y[some])
        assert np.bincount(labels).tolist() == [COUNTS[0], COUNTS[0]]
        assert np.isfinite(new).all()


def test_it_stands_in_a_pipeline_and_survives_pickle() -> None:
    pipeline = make_pipeline(sampler(), LogisticRegression()).fit(X, Y)
    assert pipeline.score(X, Y) > 0.8
    again = pickle.loads(pickle.dumps(pipeline))
    np.testing.assert_array_equal(again.predict(X), pipeline.predict(X))


def test_progress_is_told_unless_verbose_is_0(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evenscore.sklearn.progress.QUIET", -1.0)
    monkeypatch.setattr("evenscore.sklearn.progress.EVERY", -1.0)
    sampler(correction="always", steps=2, verbose=0).fit_resample(X, Y)
    assert capsys.readouterr().err == ""
    sampler(correction="always", steps=2, verbose=1, n_jobs=1).fit_resample(X, Y)
    assert "evenscore: step 2, 100%" in capsys.readouterr().err


def test_without_imbalanced_learn_a_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("imblearn", "imblearn.over_sampling", "imblearn.over_sampling.base"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "evenscore.sklearn.oversampler")
    with pytest.raises(ImportError, match="ScoreOverSampler needs imbalanced-learn, which is not installed"):
        importlib.import_module("evenscore.sklearn.oversampler")
