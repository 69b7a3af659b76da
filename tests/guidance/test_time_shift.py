"""Time shift: none is the plain denoiser, and on samples that are noisier than their time says it is exact."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch

from evenscore.denoisers.oracle import GaussianMixture
from evenscore.errors import UsageError
from evenscore.guidance import TimeShift
from evenscore.process import OU, VE, VP, Process, RectifiedFlow
from evenscore.solvers import DDIM, integrate

PROCESSES = [VP(), VE(), OU(), RectifiedFlow()]
Y = torch.tensor([0, 1, 2, 0, 1])


def oracle(process: Process) -> GaussianMixture:
    means = torch.tensor([[-1.0, 0.0], [0.5, 1.0]], dtype=torch.float64)
    return GaussianMixture.isotropic(process, means, [0.4, 0.7], [0, 1])


def noisy(process: Process, t: float, shift: float) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Rows whose noise is ``e^shift`` times that of their time; the times, and that noise level."""
    random = torch.Generator().manual_seed(0)
    x0, eps = (torch.randn(5, 2, generator=random, dtype=torch.float64) for _ in range(2))
    at = torch.full((5,), t, dtype=torch.float64)
    alpha, sigma = float(process.alpha(at[0])), float(process.sigma(at[0]))
    return alpha * x0 + math.exp(shift) * sigma * eps, at, math.exp(shift) * sigma / alpha


@pytest.mark.parametrize("process", PROCESSES)
def test_no_shift_is_the_plain_denoiser_bit_for_bit(process: Process) -> None:
    plain = oracle(process)
    x, t, _ = noisy(process, 0.5, 0.0)
    one, other = (d.predict(x, t, Y) for d in (plain, TimeShift(plain, 0.0)))
    assert torch.equal(one.x0, other.x0)
    assert torch.equal(one.eps, other.eps)


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("shift", [0.3, -0.3])
def test_it_is_exact_where_the_noise_is_as_it_says(process: Process, shift: float) -> None:
    """Against Bayes' rule for one Gaussian class: prior N(m, d^2), a sample alpha (x0 + s' eps)."""
    x, t, level = noisy(process, 0.5, shift)
    alpha = float(process.alpha(t[0]))
    found = TimeShift(oracle(process), shift).predict(x, t, torch.zeros(5, dtype=torch.int64))
    mean = torch.tensor([-1.0, 0.0], dtype=torch.float64)
    gain = 0.4**2 / (0.4**2 + level**2)
    torch.testing.assert_close(found.x0, mean + gain * (x / alpha - mean), rtol=1e-8, atol=1e-8)
    again = process.alpha(t)[:, None] * found.x0 + process.sigma(t)[:, None] * found.eps
    torch.testing.assert_close(again, x, rtol=0, atol=1e-9)


@pytest.mark.parametrize("process", PROCESSES)
def test_times_stay_in_range_and_the_last_evaluation_is_not_shifted(process: Process) -> None:
    plain = oracle(process)
    x, _, _ = noisy(process, 0.5, 0.0)
    last = torch.full((5,), process.t_min, dtype=torch.float64)
    assert torch.equal(TimeShift(plain, 0.5).predict(x, last, Y).x0, plain.predict(x, last, Y).x0)
    first = torch.full((5,), process.t_max, dtype=torch.float64)
    assert bool(torch.isfinite(TimeShift(plain, 0.5).predict(x, first, Y).x0).all())


def test_a_row_alone_is_the_row_in_any_batch() -> None:
    shifted = TimeShift(oracle(VP()), 0.2)
    x, _, _ = noisy(VP(), 0.5, 0.0)
    t = torch.tensor([VP.t_min, 0.2, 0.5, 0.8, 1.0], dtype=torch.float64)
    whole = shifted.predict(x, t, Y).x0
    for i in range(5):
        torch.testing.assert_close(shifted.predict(x[i : i + 1], t[i : i + 1], Y[i : i + 1]).x0[0], whole[i])


def test_it_undoes_a_network_that_misjudges_the_noise() -> None:
    """A denoiser that takes every level for less than it is, is exact again under the opposite shift."""
    process = VE()
    exact = oracle(process)
    wrong = TimeShift(exact, -0.3)
    x, t, _ = noisy(process, 0.5, 0.0)
    undone = TimeShift(wrong, 0.3).predict(x, t, Y)
    torch.testing.assert_close(undone.x0, exact.predict(x, t, Y).x0, rtol=1e-6, atol=1e-6)
    times = torch.linspace(process.t_max, process.t_min, 41, dtype=torch.float64)
    noise = torch.randn(400, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    spread = []
    for denoiser in (exact, wrong, TimeShift(wrong, 0.3)):
        *_, last = integrate(denoiser, DDIM(), process.prior(noise), times, torch.zeros(400, dtype=torch.int64), draw)
        spread.append(float(last.x.std()))
    assert abs(spread[2] - spread[0]) < 0.3 * abs(spread[1] - spread[0])


def draw(shape: Sequence[int]) -> torch.Tensor:
    """Noise that a deterministic solver never asks for."""
    raise AssertionError


@pytest.mark.parametrize("shift", [1.5, math.nan, -math.inf])
def test_a_shift_out_of_range_is_refused(shift: float) -> None:
    with pytest.raises(UsageError, match="shift must be from -1 to 1, 0 for none"):
        TimeShift(oracle(VP()), shift)
