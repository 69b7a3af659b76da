"""The generator: exact on Gaussian classes, a density in the units of the table, a run folder that gives it back."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.integrate
import scipy.stats
from sklearn.exceptions import NotFittedError

from evenscore.errors import CheckpointError, RunError
from evenscore.run import Run
from evenscore.sklearn import ScoreGenerator

RNG = np.random.default_rng(0)
LAWS = [
    scipy.stats.multivariate_normal([5.0, -30.0, 0.0], [[1.0, 6.0, 0.0], [6.0, 100.0, 0.0], [0.0, 0.0, 0.01]]),
    scipy.stats.multivariate_normal([7.0, 0.0, 0.1], [[4.0, -5.0, 0.1], [-5.0, 40.0, 0.0], [0.1, 0.0, 0.02]]),
]
COUNTS = (3000, 400)
X = np.concatenate([law.rvs(n, random_state=k) for k, (law, n) in enumerate(zip(LAWS, COUNTS, strict=True))])
Y = np.repeat(["big", "small"], COUNTS)


def generator(**settings: Any) -> ScoreGenerator:
    return ScoreGenerator(**{"random_state": 0, "verbose": 0, "steps": 2, **settings})


@pytest.fixture(scope="module")
def fitted() -> ScoreGenerator:
    return generator(correction="never").fit(X, Y)


def test_a_network_does_not_spoil_gaussian_classes() -> None:
    model = generator(steps=60).fit(X, Y).fitted_.model
    assert model.trained is not None
    assert model.weights.tolist() == [0, 0]


def test_generated_moments_are_those_of_the_law(fitted: ScoreGenerator) -> None:
    n = 4000
    for k, (law, label) in enumerate(zip(LAWS, ["big", "small"], strict=True)):
        made, labels = fitted.sample(n, label)
        assert set(labels) == {label}
        spread, number = np.diag(law.cov), 1 / n + 1 / COUNTS[k]
        assert np.all(np.abs(made.mean(0) - law.mean) < 4 * np.sqrt(spread * number))
        error = np.sqrt((np.outer(spread, spread) + law.cov**2) * number)
        assert np.all(np.abs(np.cov(made.T) - law.cov) < 4 * error)


def test_densities_are_those_of_the_law_in_the_units_of_the_table(fitted: ScoreGenerator) -> None:
    for law, label in zip(LAWS, ["big", "small"], strict=True):
        rows = law.rvs(2000, random_state=9)
        found = fitted.score_samples(rows, np.repeat(label, len(rows)))
        assert abs((found - law.logpdf(rows)).mean()) < (1e-2 if label == "big" else 3e-2)
    rows = X[::200]
    mixed = np.log(sum(n * law.pdf(rows) for law, n in zip(LAWS, COUNTS, strict=True)) / len(X))
    np.testing.assert_allclose(fitted.score_samples(rows), mixed, atol=0.3)


def test_the_density_of_a_skewed_column_integrates_to_1() -> None:
    x = np.exp(RNG.normal(size=(3000, 1)))
    model = generator(correction="never").fit(x, np.arange(3000) % 2)
    assert type(model.fitted_.code.codes[0].number).__name__ == "Quantile"
    at = np.linspace(x.min(), x.max(), 40_001)[:, None]
    assert scipy.integrate.trapezoid(np.exp(model.score_samples(at)), at[:, 0]) == pytest.approx(1, abs=0.03)


def test_samples_are_those_that_were_asked_for(fitted: ScoreGenerator) -> None:
    made, labels = fitted.sample(200)
    assert made.shape == (200, 3)
    assert (labels == "big").mean() > 0.75
    asked = ["small", "big", "small"]
    assert fitted.sample(3, asked)[1].tolist() == asked
    np.testing.assert_array_equal(fitted.sample(5)[0], fitted.sample(5)[0])
    assert not np.allclose(fitted.sample(5, random_state=1)[0], fitted.sample(5)[0])
    assert len(fitted.sample(0)[0]) == 0


def test_a_pandas_table_gives_a_pandas_table() -> None:
    table = pd.DataFrame(X[:300], columns=["a", "b", "c"]).assign(kind=np.arange(300) % 3)
    made, _ = generator(correction="never").fit(table, [*Y[:299].tolist(), "small"]).sample(10)
    assert made.dtypes.tolist() == table.dtypes.tolist()


def test_refusals(fitted: ScoreGenerator) -> None:
    with pytest.raises(NotFittedError):
        generator().sample(1)
    with pytest.raises(ValueError, match="n_samples=-1 rows were asked for"):
        fitted.sample(-1)
    with pytest.raises(ValueError, match="the label 'other' was not fitted: give labels among"):
        fitted.sample(1, "other")
    with pytest.raises(ValueError, match="2 labels were given for 3 rows"):
        fitted.sample(3, ["big", "small"])
    with pytest.raises(ValueError, match="Found input variables with inconsistent numbers of samples"):
        fitted.score_samples(X[:2], ["big"])
    whole = generator(correction="never").fit(np.arange(60).reshape(30, 2), np.arange(30) % 2)
    with pytest.raises(ValueError, match="column 'x0' has no density: it is constant, or holds whole numbers"):
        whole.score_samples(np.arange(6).reshape(3, 2))


def test_a_saved_generator_is_a_run_folder_and_comes_back(tmp_path: Path) -> None:
    table = pd.DataFrame(X[2900:3100], columns=["a", "b", "c"])
    model = generator(correction="always", objective={"name": "cbdm", "tau": 0.5}).fit(table, Y[2900:3100])
    model.fitted_.model.weights[0] = 0.5
    model.save(tmp_path / "run")
    back = ScoreGenerator.load(tmp_path / "run")
    for other in (back, pickle.loads(pickle.dumps(model))):
        pd.testing.assert_frame_equal(other.sample(6)[0], model.sample(6)[0])
        np.testing.assert_allclose(other.score_samples(table[:4]), model.score_samples(table[:4]))
    assert back.objective == {"name": "cbdm", "tau": 0.5}
    assert Run.open(tmp_path / "run").denoiser().num_classes == 2
    with pytest.raises(RunError, match="exists and is not an empty folder"):
        model.save(tmp_path / "run")
    with pytest.raises(RunError, match="holds no saved generator"):
        ScoreGenerator.load(tmp_path)
    whole = (tmp_path / "run" / "table.json").read_text()
    note = json.loads(whole)
    note["classes"]["dtype"] = "<U100000000"
    for text, words in (
        (json.dumps(note), "cannot be understood .classes of 400000000 bytes each"),
        ("[" * 100_000, "table.json is damaged"),
        ("[]", "table.json is damaged"),
    ):
        (tmp_path / "run" / "table.json").write_text(text)
        with pytest.raises(CheckpointError, match=words):
            ScoreGenerator.load(tmp_path / "run")
    (tmp_path / "run" / "table.json").write_text(whole)
    (tmp_path / "run" / "table.safetensors").write_bytes(b"other")
    with pytest.raises(CheckpointError, match="is damaged"):
        ScoreGenerator.load(tmp_path / "run")


def test_a_run_is_kept_where_it_was_asked_for(tmp_path: Path) -> None:
    generator(correction="always", run=tmp_path / "kept").fit(X[2900:3100], Y[2900:3100])
    assert Run.open(tmp_path / "kept").card.class_names == ("0: big", "1: small")
