"""A fitted model: closed form where nothing is corrected, the flow elsewhere, and the same from its tensors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from evenscore.errors import UsageError
from evenscore.likelihood import Likelihood, log_prob
from evenscore.run import Run
from evenscore.vectors import FitSettings, VectorModel, correction, fit_vectors, make_objective
from evenscore.vectors.correction import train_network
from evenscore.vectors.errors import denoising_bounds
from evenscore.vectors.settings import within_seconds
from evenscore.vectors.store import pack, unpack

RNG = np.random.default_rng(0)
X = np.concatenate([RNG.normal(size=(150, 2)), RNG.normal(size=(30, 2)) @ np.array([[2.0, 0.0], [1.0, 0.5]]) + 2])
Y = np.array([0] * 150 + [1] * 30)
NAMES = ("a", "b")


@pytest.fixture(scope="module")
def corrected(tmp_path_factory: pytest.TempPathFactory) -> VectorModel:
    """A model whose first class is corrected by a network of a few steps."""
    how = FitSettings(correction="always", steps=3, run=tmp_path_factory.mktemp("runs") / "run")
    model = fit_vectors(X, Y, NAMES, how)
    assert how.run is not None
    assert Run.exists(how.run)
    return replace(model, weights=torch.tensor([0.5, 0.0], dtype=torch.float64))


def test_small_classes_need_no_network() -> None:
    model = fit_vectors(X, Y, NAMES, FitSettings(), wanted=[1])
    assert model.trained is None
    assert model.denoiser is model.base


def test_the_closed_form_is_the_flow_of_the_same_denoiser() -> None:
    model = fit_vectors(X, Y, NAMES, FitSettings(correction="never"))
    x, y = torch.from_numpy(X[:6]), torch.tensor([0, 1] * 3)
    flow = log_prob(model.denoiser, x, y, how=Likelihood(prior="exact"))
    torch.testing.assert_close(model.log_density(x, y), flow, atol=2e-3, rtol=0)


def test_only_corrected_classes_use_the_solver_and_the_flow(corrected: VectorModel) -> None:
    x, y = torch.from_numpy(X[[0, 160]]), torch.tensor([0, 1])
    density = corrected.log_density(x, y)
    assert float(density[1]) == float(corrected.base.clean_log_density(x[1:], y[1:]))
    torch.testing.assert_close(density[:1], log_prob(corrected.denoiser, x[:1], y[:1]), atol=2e-3, rtol=0)
    drawn = corrected.draw(torch.tensor([0, 1, 0]), 5, FitSettings())
    torch.testing.assert_close(drawn[1:2], corrected.base.draw(torch.tensor([1]), 5, [1]))
    torch.testing.assert_close(drawn[:1], corrected.draw(torch.tensor([0]), 5, FitSettings()))


def test_a_model_comes_back_from_its_tensors(corrected: VectorModel) -> None:
    back, y = unpack(*pack(corrected)), torch.tensor([0, 1])
    torch.testing.assert_close(back.draw(y, 1, FitSettings()), corrected.draw(y, 1, FitSettings()), rtol=0, atol=1e-9)


def test_denoising_bounds_separate_classes_as_densities_do() -> None:
    model = fit_vectors(X, Y, NAMES, FitSettings(correction="never"))
    x = torch.from_numpy(X)
    bounds = denoising_bounds(model.denoiser, x, 64, seed=0)
    exact = torch.stack([model.log_density(x, torch.full((len(x),), k)) for k in range(2)], 1)
    found, wanted = bounds[:, 1] - bounds[:, 0], exact[:, 1] - exact[:, 0]
    assert float(torch.corrcoef(torch.stack([found, wanted]))[0, 1]) > 0.95
    torch.testing.assert_close(denoising_bounds(model.denoiser, x[3:4], 64, seed=0), bounds[3:4])


def test_settings_are_checked() -> None:
    with pytest.raises(UsageError, match="unknown correction 'allways': did you mean 'always'"):
        FitSettings(correction="allways")
    with pytest.raises(UsageError, match="max_seconds=0 cannot be used"):
        FitSettings(max_seconds=0)
    with pytest.raises(UsageError, match="unknown objective 'cbmd': did you mean 'cbdm'"):
        make_objective("cbmd")
    assert make_objective({"name": "cbdm", "tau": 0.5}).tau == 0.5  # type: ignore[attr-defined]


def test_a_time_budget_takes_fewer_steps() -> None:
    config = FitSettings(steps=1000).training(500)
    assert within_seconds(config, 0.01, 2.0).steps == 200
    assert within_seconds(config, 0.001, 60.0).steps == 1000


def test_a_run_that_was_begun_under_a_time_budget_keeps_its_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = FitSettings(max_seconds=3, steps=1000)
    for speed in (0.1, 0.01):
        monkeypatch.setattr(correction, "estimate", lambda *_, speed=speed: SimpleNamespace(seconds_per_step=speed))
        run = train_network(X, Y, NAMES, tmp_path / "run", how, lambda progress: None)
        assert run.config.steps == 30
