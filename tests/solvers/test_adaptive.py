"""The adaptive solver keeps its tolerance, spends where it must, and gives every sample steps of its own."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.denoisers.oracle import GaussianMixture
from evenscore.errors import UsageError
from evenscore.kernel import level
from evenscore.prediction import Prediction
from evenscore.process import PROCESSES, VP, Process
from evenscore.solvers import Adaptive, integrate
from evenscore.solvers.grids import log_snr

EVERY = pytest.mark.parametrize("process", [cls() for cls in PROCESSES.values()], ids=list(PROCESSES))
Mixture = Callable[[Process], GaussianMixture]
Normal = Callable[..., Tensor]
Y = torch.tensor([0, 1, 2, 0, 1, 2])


class Counting(Denoiser):
    """Another denoiser that counts the rows it was asked for."""

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        self.inner, self.rows = denoiser, 0
        self.process, self.num_classes, self.shape = denoiser.process, denoiser.num_classes, denoiser.shape

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor) -> Prediction:
        self.rows += len(x_t)
        return self.inner.predict(x_t, t, y)


def end(denoiser: Denoiser, solver: Adaptive, x: Tensor, y: Tensor, steps: int = 1) -> Tensor:
    """The sample, from standard normal values ``x``."""
    process = denoiser.process
    *_, last = integrate(denoiser, solver, process.prior(x), log_snr(process, steps), y, lambda shape: x)
    return last.x


@EVERY
def test_the_error_follows_the_tolerance(process: Process, mixture: Mixture, normal: Normal) -> None:
    denoiser, x = mixture(process), normal(0, 6, 2)
    exact = end(denoiser, Adaptive(rtol=1e-9, atol=1e-9), x, Y)
    for tolerance in (1e-3, 1e-5):
        found = end(denoiser, Adaptive(rtol=tolerance, atol=tolerance), x, Y)
        torch.testing.assert_close(found, exact, rtol=0, atol=20 * tolerance)


@EVERY
@pytest.mark.parametrize(
    "solver", [Adaptive(rtol=1e-7, atol=1e-7), Adaptive(rtol=1e-4, atol=1e-4)], ids=["fine", "coarse"]
)
def test_it_ends_where_the_runge_kutta_method_of_scipy_does(
    process: Process, solver: Adaptive, mixture: Mixture, normal: Normal
) -> None:
    """The same flow as an ODE over log SNR, in the process's own coordinates, by another method and another program."""
    denoiser, x = mixture(process), normal(0, 6, 2)

    def slope(place: float, state: NDArray[np.float64]) -> NDArray[np.float64]:
        t = process.time(torch.tensor(place, dtype=torch.float64)).clamp(process.t_min, process.t_max)
        now = denoiser.predict(torch.from_numpy(state).reshape(6, 2), t.expand(6), Y)
        return (-process.velocity(now.x0, now.eps, t) / process.log_snr_rate(t)).flatten().numpy()

    ends = process.log_snr(torch.tensor([process.t_max, process.t_min], dtype=torch.float64)).tolist()
    start = process.prior(x).flatten().numpy()
    found = solve_ivp(slope, ends, start, method="RK45", rtol=1e-9, atol=1e-9)
    assert found.success
    last = torch.from_numpy(found.y[:, -1]).reshape(6, 2)
    clean = denoiser.predict(last, torch.full((6,), process.t_min, dtype=torch.float64), Y).x0
    torch.testing.assert_close(end(denoiser, solver, x, Y), clean, rtol=0, atol=20 * solver.rtol)


def test_on_one_gaussian_it_is_the_closed_form(normal: Normal) -> None:
    """The flow of N(m, d^2) scales what lies beyond the mean by the ratio of standard deviations."""
    process, x = VP(), normal(0, 6, 1)
    law = GaussianMixture.isotropic(process, torch.tensor([[0.3]]), [0.6], [0])
    now, last = level(process, torch.tensor(process.t_max)), level(process, torch.tensor(process.t_min))
    spreads = [math.hypot(0.6 * one.alpha, one.sigma) for one in (now, last)]
    moved = 0.3 * last.alpha + spreads[1] / spreads[0] * (process.prior(x) - 0.3 * now.alpha)
    y = torch.zeros(6, dtype=torch.int64)
    clean = law.predict(moved, torch.full((6,), process.t_min, dtype=torch.float64), y).x0
    torch.testing.assert_close(end(law, Adaptive(rtol=1e-8, atol=1e-8), x, y), clean, rtol=0, atol=1e-6)


def test_a_smaller_tolerance_costs_more(mixture: Mixture, normal: Normal) -> None:
    cost = []
    for tolerance in (1e-2, 1e-4, 1e-6):
        denoiser = Counting(mixture(VP()))
        end(denoiser, Adaptive(rtol=tolerance, atol=tolerance), normal(0, 6, 2), Y)
        cost.append(denoiser.rows / 6)
    assert 6 <= cost[0] < cost[1] < cost[2]
    assert cost[0] < 40


def test_stops_of_the_grid_do_not_change_the_sample_beyond_the_tolerance(mixture: Mixture, normal: Normal) -> None:
    denoiser, solver, x = mixture(VP()), Adaptive(rtol=1e-6, atol=1e-6), normal(0, 6, 2)
    torch.testing.assert_close(end(denoiser, solver, x, Y, 7), end(denoiser, solver, x, Y, 1), rtol=0, atol=2e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_sample_has_steps_of_its_own(dtype: torch.dtype, mixture: Mixture, normal: Normal) -> None:
    denoiser, solver, x = mixture(VP()), Adaptive(rtol=1e-4, atol=1e-4), normal(0, 6, 2).to(dtype)
    whole = end(denoiser, solver, x, Y)
    assert whole.dtype == dtype
    for i in range(6):
        alone = end(denoiser, solver, x[i : i + 1], Y[i : i + 1])
        torch.testing.assert_close(alone, whole[i : i + 1], rtol=0, atol=1e-12 if dtype == torch.float64 else 1e-6)
    hard = torch.cat([x[:3], 40 * x[3:]])
    torch.testing.assert_close(end(denoiser, solver, hard, Y)[:3], whole[:3], rtol=0, atol=1e-6)


def test_a_denoiser_that_fails_ends_and_says_so(mixture: Mixture, normal: Normal) -> None:
    class Failing(Counting):
        """Returns no number for the first row."""

        def forward(self, x_t: Tensor, t: Tensor, y: Tensor) -> Prediction:
            made = super().forward(x_t, t, y)
            lost = torch.where((y == 0)[:, None], torch.full_like(made.x0, float("nan")), made.x0)
            return Prediction(made.x_t, made.alpha, made.sigma, lost, made.eps)

    found = end(Failing(mixture(VP())), Adaptive(), normal(0, 6, 2), Y)
    assert bool(found[Y == 0].isnan().all())
    assert bool(found[Y != 0].isfinite().all())


@pytest.mark.parametrize("settings", [{"rtol": 0.0}, {"atol": -1.0}])
def test_a_tolerance_must_be_above_0(settings: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="must be above 0"):
        Adaptive(**settings)
