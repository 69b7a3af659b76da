"""Samples from the exact denoiser have the class-conditional moments of the data within 2 percent, for every solver."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from evenscore.denoisers.oracle import GaussianMixture
from evenscore.process import PROCESSES, Process
from evenscore.solvers import GRIDS, SOLVERS, integrate

CASES = {
    "euler": ("log-snr", 150),
    "heun": ("log-snr", 40),
    "ddim": ("log-snr", 400),
    "euler-maruyama": ("uniform", 250),
    "dpm++2m": ("log-snr", 50),
}


def oracle(process: Process) -> GaussianMixture:
    """A large class of two components and a small class of one."""
    means = torch.tensor([[1.2, -1.0], [0.4, -1.6], [-1.1, 1.3]], dtype=torch.float64)
    return GaussianMixture.isotropic(process, means, [0.4, 0.5, 0.6], [0, 0, 1], [0.6, 0.4, 1.0], [0.97, 0.03])


def spread_evenly(count: int) -> Tensor:
    """Normal points (count, 2) from a scrambled Sobol sequence: their own moments are nearly exact."""
    points = torch.quasirandom.SobolEngine(2, scramble=True, seed=0).draw(count, dtype=torch.float64)
    return torch.special.ndtri(points.clamp(1e-9, 1 - 1e-9))


def fresh(x: Tensor, generator: torch.Generator) -> Tensor:
    """Normal draws for the batch ``x`` (N, 2): centred, white and uncorrelated with it, so that few are enough."""
    seen = torch.cat([torch.ones_like(x[:, :1]), x], dim=1)
    noise = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    noise = noise - seen @ torch.linalg.lstsq(seen, noise).solution
    return torch.linalg.solve_triangular(torch.linalg.cholesky(noise.T.cov()), noise.T, upper=False).T


def draw(denoiser: GaussianMixture, name: str, label: int) -> Tensor:
    """Samples of one class (8192, 2)."""
    solver, (grid, steps) = SOLVERS[name](), CASES[name]
    generator = torch.Generator().manual_seed(label)
    labels = torch.full((8192,), label)
    path = [denoiser.process.prior(spread_evenly(len(labels)))]
    times = GRIDS[grid](denoiser.process, steps)
    for step in integrate(denoiser, solver, path[0], times, labels, lambda _: fresh(path[-1], generator)):
        path.append(step.x)
    return path[-1]


def check_moments(denoiser: GaussianMixture, name: str) -> None:
    for label in (0, 1):
        mean, covariance = denoiser.moments(label)
        drawn, scale = draw(denoiser, name, label), covariance.diagonal().sqrt()
        torch.testing.assert_close(drawn.mean(0), mean, rtol=0.02, atol=0)
        unit = scale.outer(scale)
        torch.testing.assert_close(drawn.T.cov() / unit, covariance / unit, rtol=0, atol=0.02)


@pytest.mark.parametrize("name", SOLVERS)
def test_sampled_moments_match(name: str) -> None:
    check_moments(oracle(PROCESSES["vp"]()), name)


@pytest.mark.parametrize("process", ["vp-cosine", "ve", "ou", "rectified-flow"])
@pytest.mark.parametrize("name", ["heun", "dpm++2m"])
def test_sampled_moments_match_on_every_process(process: str, name: str) -> None:
    check_moments(oracle(PROCESSES[process]()), name)
