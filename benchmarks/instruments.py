"""Instruments of the solver benchmarks and of the laws: order, moments and density on oracles whose answer is known.

Law: everything is float64 on the CPU and seeded, so a measurement is the same wherever it is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from evenscore import records
from evenscore.denoisers.base import Denoiser
from evenscore.denoisers.oracle import GaussianMixture
from evenscore.process import Process
from evenscore.solvers import GRIDS, SOLVERS, Solver, integrate

LEVELS = (-4.0, 4.0)
"""Log SNR at the ends of the grids on which orders are measured."""
SPREAD = 0.6
"""Standard deviation of the Gaussian whose variance the stochastic solvers carry."""


class Case(NamedTuple):
    """How a solver is run for samples: its settings, a grid, and intervals."""

    grid: str
    steps: int
    settings: Mapping[str, Any] = {}


CASES: Mapping[str, Case] = {
    "euler": Case("log-snr", 150),
    "heun": Case("log-snr", 40),
    "ddim": Case("log-snr", 400),
    "dpm++2m": Case("log-snr", 50),
    "adaptive": Case("log-snr", 1),
    "euler-maruyama": Case("uniform", 250),
    "ancestral": Case("log-snr", 800),
    "reverse-diffusion": Case("uniform", 400),
    "exponential": Case("uniform", 400),
    "predictor-corrector": Case("uniform", 300, {"snr": 0.1}),
    "langevin": Case("log-snr", 3000, {"snr": 0.6}),
    "annealed-langevin": Case("log-snr", 100, {"steps": 30, "eps": 1.5e-4}),
}


def solver_of(name: str, settings: Mapping[str, Any]) -> Solver:
    """The solver of a registered name with some settings."""
    return records.read(SOLVERS[name], settings)


def fitted(steps: Sequence[int], errors: Sequence[float]) -> float:
    """Order: least-squares slope of log error against log step size."""
    x, y = torch.tensor(steps).double().log(), torch.tensor(errors).double().log()
    x, y = x - x.mean(), y - y.mean()
    return -float((x * y).sum() / (x * x).sum())


def even_levels(process: Process, steps: int) -> Tensor:
    """Times evenly spaced in log SNR over :data:`LEVELS`."""
    return process.time(torch.linspace(*LEVELS, steps + 1, dtype=torch.float64))


def bent(process: Process) -> GaussianMixture:
    """Two classes in the plane, with overlapping components so that the flow bends smoothly."""
    means = torch.tensor([[1.0, 0.5], [-0.5, 1.0], [0.3, -1.2]], dtype=torch.float64)
    return GaussianMixture.isotropic(process, means, [0.5, 0.7, 0.6], [0, 0, 1], class_weights=[0.8, 0.2])


def flow_end(process: Process, solver: Solver, steps: int) -> Tensor:
    """Where a deterministic solver takes twelve points of :func:`bent`, before the last denoising."""
    y = torch.tensor([0, 1, 2] * 4)
    start = torch.randn(len(y), 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    times = even_levels(process, steps)
    x = process.perturb(torch.zeros_like(start), times[0], start)
    *_, before_last, _ = integrate(bent(process), solver, x, times, y, lambda shape: torch.empty(0))
    return before_last.x


def carried_variance(process: Process, solver: Solver, times: Tensor) -> tuple[float, float]:
    """Variance at the end of a stochastic solver's path on one Gaussian, and the exact one; nothing is sampled.

    On one Gaussian a step is ``a x + b z``; its factors are read off the solver.
    """
    denoiser = GaussianMixture.isotropic(process, torch.zeros(1, 1), [SPREAD], [0])
    y = torch.zeros(1, dtype=torch.int64)
    one, none = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
    value, state = _exact_variance(process, times[0]), solver.init(one)
    for t, s in pairwise(solver.path(times)):
        kept = solver.step(denoiser, one, t, s, y, state, none)
        fresh = solver.step(denoiser, none, t, s, y, state, one)
        value, state = float(kept.x) ** 2 * value + float(fresh.x) ** 2, kept.state
    return value, _exact_variance(process, times[-1])


def _exact_variance(process: Process, t: Tensor) -> float:
    return float(process.alpha(t) ** 2 * SPREAD**2 + process.sigma(t) ** 2)


def fine(name: str, steps: int) -> Solver:
    """The solver ``name`` such that its error falls with the grid alone: one step an interval, corrections as small as it."""
    settings: Mapping[str, Mapping[str, Any]] = {
        "ddim": {"eta": 0.0},
        "adaptive": {"rtol": 1e6, "atol": 1e6},
        "predictor-corrector": {"snr": steps**-0.5},
    }
    return solver_of(name, settings.get(name, {}))


def grid_error(process: Process, name: str, steps: int, exact: Tensor | None) -> float:
    """Error over ``steps`` intervals: of twelve points against ``exact``, or of a variance for a stochastic solver."""
    solver = fine(name, steps)
    if not solver.stochastic and exact is not None:
        return float((flow_end(process, solver, steps) - exact).norm())
    found, right = carried_variance(process, solver, even_levels(process, steps))
    return abs(found - right)


def level_error(process: Process, name: str, parts: int) -> float:
    """Error of the variance that Langevin steps of a length in proportion to ``1 / parts`` settle to at one level."""
    size: Mapping[str, Any] = {
        "langevin": {"snr": parts**-0.5},
        "annealed-langevin": {"eps": 4 / parts, "sigma_last": 1.0},
    }[name]
    level = process.time(torch.zeros((), dtype=torch.float64))
    solver = solver_of(name, {**size, "steps": 15 * parts})
    found, right = carried_variance(process, solver, torch.stack([level + 1e-9, level]))
    return abs(found - right)


def planar(process: Process) -> GaussianMixture:
    """A large class of two components and a small class of one."""
    means = torch.tensor([[1.2, -1.0], [0.4, -1.6], [-1.1, 1.3]], dtype=torch.float64)
    return GaussianMixture.isotropic(process, means, [0.4, 0.5, 0.6], [0, 0, 1], [0.6, 0.4, 1.0], [0.97, 0.03])


def linear(process: Process) -> GaussianMixture:
    """One class on a line, with two modes of different weight."""
    means = torch.tensor([[-1.0], [0.8]], dtype=torch.float64)
    return GaussianMixture.isotropic(process, means, [0.3, 0.4], [0, 0], [0.7, 0.3])


def spread_evenly(count: int, size: int) -> Tensor:
    """Normal points (count, size) from a scrambled Sobol sequence: their own moments are nearly exact."""
    points = torch.quasirandom.SobolEngine(size, scramble=True, seed=0).draw(count, dtype=torch.float64)
    return torch.special.ndtri(points.clamp(1e-9, 1 - 1e-9))


def white(x: Tensor, generator: torch.Generator) -> Tensor:
    """Normal draws for the batch ``x`` (N, D): centred, white and uncorrelated with it, so that few are enough."""
    seen = torch.cat([torch.ones_like(x[:, :1]), x], dim=1)
    noise = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    noise = noise - seen @ torch.linalg.lstsq(seen, noise).solution
    root = torch.linalg.cholesky(noise.T @ noise / (len(x) - 1))
    return torch.linalg.solve_triangular(root, noise.T, upper=False).T


def draw(denoiser: Denoiser, solver: Solver, times: Tensor, label: int, count: int) -> Tensor:
    """Samples of one class (count, D)."""
    generator = torch.Generator().manual_seed(label)
    labels = torch.full((count,), label)
    x = denoiser.process.prior(spread_evenly(count, denoiser.shape[0]))
    path = [x]
    for step in integrate(denoiser, solver, x, times, labels, lambda _: white(path[0], generator)):
        path[0] = step.x
    return path[0]


def draw_case(denoiser: Denoiser, name: str, label: int, count: int = 4096) -> Tensor:
    """Samples of one class with the settings of :data:`CASES`."""
    case = CASES[name]
    return draw(denoiser, solver_of(name, case.settings), GRIDS[case.grid](denoiser.process, case.steps), label, count)


def moment_errors(denoiser: GaussianMixture, drawn: Tensor, label: int) -> tuple[float, float]:
    """Largest relative error of a mean, and of a covariance relative to the standard deviations."""
    mean, covariance = denoiser.moments(label)
    scale = covariance.diagonal().sqrt()
    apart = (drawn.T.cov().reshape_as(covariance) - covariance) / scale.outer(scale)
    return float(((drawn.mean(0) - mean) / mean).abs().max()), float(apart.abs().max())


def total_variation(denoiser: GaussianMixture, drawn: Tensor, label: int, bins: int = 40) -> float:
    """Between the histogram of samples (N, 1) and the exact law of a one-dimensional mixture, over equal bins.

    It holds about ``0.4 sqrt(bins / N)`` of mere counting noise.
    """
    weights = denoiser.log_weights[label].exp()
    means, stds = denoiser.means[:, 0], denoiser.variances[:, 0].sqrt()
    used = weights > 0
    low, high = float((means - 5 * stds)[used].min()), float((means + 5 * stds)[used].max())
    edges = torch.linspace(low, high, bins + 1, dtype=torch.float64)
    below = (weights * torch.special.ndtr((edges[:, None] - means) / stds)).sum(1)
    exact = torch.cat([below[:1], below.diff(), 1 - below[-1:]])
    found = torch.bincount(torch.searchsorted(edges, drawn.flatten().contiguous()), minlength=bins + 2) / len(drawn)
    return float((found - exact).abs().sum() / 2)
