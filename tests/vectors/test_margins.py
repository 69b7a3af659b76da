"""Maps of single numbers: exact inverses, true Jacobians, and the identity on normal numbers and in small classes."""

from __future__ import annotations

import numpy as np
import scipy.integrate
import scipy.stats
import torch

from evenscore.vectors import FitSettings, fit_vectors
from evenscore.vectors.errors import denoising_bounds
from evenscore.vectors.margins import fit_margins
from evenscore.vectors.store import pack, unpack

RNG = np.random.default_rng(0)
N = 1500
BIMODAL = np.where(RNG.random(N) < 0.4, RNG.normal(-2, 0.3, N), RNG.normal(1.5, 0.5, N))
ROWS = np.column_stack([BIMODAL, RNG.normal(size=N)])
X = np.concatenate([ROWS, RNG.normal(size=(N, 2)) + 1, ROWS[:60]])
Y = np.repeat([0, 1, 2], [N, N, 60])
x, y = torch.from_numpy(X), torch.from_numpy(Y)
NEVER = FitSettings(correction="never")


def test_only_numbers_that_are_not_normal_in_a_large_class_are_mapped() -> None:
    found = fit_margins(x, y, 3, seed=0)
    assert found.used.tolist() == [[True, False], [False, False], [False, False]]
    assert not bool(fit_margins(x, y, 3, seed=0, wanted=[1]).used.any())
    assert torch.equal(found.encode(x[y > 0], y[y > 0]), x[y > 0])


def test_a_mapped_number_is_normal_and_comes_back() -> None:
    found = fit_margins(x, y, 3, seed=0)
    mapped = found.encode(x, y)
    torch.testing.assert_close(found.decode(mapped, y), x)
    mine = mapped[y == 0, 0].numpy()
    assert scipy.stats.kstest((mine - mine.mean()) / mine.std(), "norm").statistic < 0.02
    assert abs(mine.mean() - BIMODAL.mean()) < 0.1
    assert abs(mine.std() / BIMODAL.std() - 1) < 0.1


def test_the_slope_is_the_derivative() -> None:
    found = fit_margins(x, y, 3, seed=0)
    at = torch.linspace(-3, 3, 41, dtype=torch.float64)
    rows, labels = torch.stack([at, at], 1), torch.zeros(41, dtype=torch.int64)
    step = torch.tensor([1e-7, 0.0], dtype=torch.float64)
    slope = (found.encode(rows + step, labels) - found.encode(rows - step, labels))[:, 0] / 2e-7
    torch.testing.assert_close(found.log_slope(rows, labels).exp(), slope, rtol=1e-4, atol=1e-4)


def test_the_density_of_a_mapped_class_integrates_to_1_and_draws_follow_it() -> None:
    one = X[:, :1]
    model = fit_vectors(one, Y, ("a", "b", "c"), NEVER)
    assert model.margins is not None
    assert bool(model.margins.used[0, 0])
    at = torch.linspace(-6, 6, 24_001, dtype=torch.float64)[:, None]
    density = model.log_density(at, torch.zeros(len(at), dtype=torch.int64)).exp().numpy()
    assert abs(scipy.integrate.trapezoid(density, at[:, 0].numpy()) - 1) < 1e-3
    drawn = model.draw(torch.zeros(4000, dtype=torch.int64), 0, NEVER).numpy()[:, 0]
    assert scipy.stats.ks_2samp(drawn, BIMODAL).statistic < 0.05


def test_bounds_of_a_mapped_class_are_those_of_the_mapped_rows_and_their_slope() -> None:
    model = fit_vectors(X, Y, ("a", "b", "c"), NEVER)
    assert model.margins is not None
    some = x[:5]
    mapped = model.margins.encode(some, torch.zeros(5, dtype=torch.int64))
    wanted = denoising_bounds(model.denoiser, mapped, 8, 0)[:, 0]
    slope = model.margins.log_slope(some, torch.zeros(5, dtype=torch.int64))
    found = model.bounds(some, 8, 0)
    torch.testing.assert_close(found[:, 0], wanted + slope)
    torch.testing.assert_close(found[:, 1:], denoising_bounds(model.denoiser, some, 8, 0)[:, 1:])


def test_a_model_with_maps_comes_back_from_its_tensors() -> None:
    model = fit_vectors(X, Y, ("a", "b", "c"), NEVER)
    labels = torch.tensor([0, 1, 2, 0])
    assert torch.equal(unpack(*pack(model)).draw(labels, 0, NEVER), model.draw(labels, 0, NEVER))
