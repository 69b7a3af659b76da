"""Every deterministic solver attains the order it declares; the stochastic one attains it in its statistics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from evenscore.denoisers.oracle import GaussianMixture
from evenscore.process import PROCESSES, VP, Process
from evenscore.solvers import SOLVERS, EulerMaruyama, Solver, integrate

DETERMINISTIC = [name for name, solver in SOLVERS.items() if not solver().stochastic]
NAMES = list(PROCESSES)
STEPS = (32, 64, 128, 256)
LEVELS = (-4.0, 4.0)
LABELS = torch.tensor([0, 1, 2] * 4)


def oracle(process: Process) -> GaussianMixture:
    """Two classes in the plane, with overlapping components so that the flow bends smoothly."""
    means = torch.tensor([[1.0, 0.5], [-0.5, 1.0], [0.3, -1.2]], dtype=torch.float64)
    return GaussianMixture.isotropic(process, means, [0.5, 0.7, 0.6], [0, 0, 1], class_weights=[0.8, 0.2])


def grid(process: Process, steps: int) -> Tensor:
    return process.time(torch.linspace(*LEVELS, steps + 1, dtype=torch.float64))


def final(process: Process, solver: Solver, steps: int) -> Tensor:
    """The batch at the end of the grid, before the last denoising."""
    start = torch.randn(len(LABELS), 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    times = grid(process, steps)
    x = process.perturb(torch.zeros_like(start), times[0], start)

    def no_noise(shape: Sequence[int]) -> Tensor:
        raise AssertionError(shape)

    *_, before_last, _ = integrate(oracle(process), solver, x, times, LABELS, no_noise)
    return before_last.x


@cache
def reference(name: str) -> Tensor:
    """Heun at many steps; DPM-Solver++(2M) must agree."""
    process = PROCESSES[name]()
    fine = final(process, SOLVERS["heun"](), 1000)
    torch.testing.assert_close(final(process, SOLVERS["dpm++2m"](), 2000), fine, rtol=0, atol=2e-5)
    return fine


def fitted(steps: Sequence[int], errors: Sequence[float]) -> float:
    """Least-squares slope of log error against log step size."""
    x, y = torch.tensor(steps).double().log(), torch.tensor(errors).double().log()
    x, y = x - x.mean(), y - y.mean()
    return -float((x * y).sum() / (x * x).sum())


@pytest.mark.parametrize("solver", DETERMINISTIC)
@pytest.mark.parametrize("process", NAMES)
def test_the_error_falls_with_the_declared_order(process: str, solver: str) -> None:
    exact = reference(process)
    errors = [float((final(PROCESSES[process](), SOLVERS[solver](), n) - exact).norm()) for n in STEPS]
    assert errors[0] < 1
    assert fitted(STEPS, errors) == pytest.approx(SOLVERS[solver].order, abs=0.15)


def test_euler_maruyama_has_weak_order_one() -> None:
    """On one Gaussian the variance follows a recursion; its factors are read off the steps, without sampling."""
    process = VP()
    denoiser = GaussianMixture.isotropic(process, torch.zeros(1, 1), [0.6], [0])
    label = torch.zeros(1, dtype=torch.int64)

    def variance(steps: int) -> float:
        times = grid(process, steps)
        value = float(process.alpha(times[0]) ** 2 * 0.36 + process.sigma(times[0]) ** 2)
        one, none = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
        for t, s in pairwise(times):
            factor = float(EulerMaruyama().step(denoiser, one, t, s, label, (), none).x)
            fresh = float(EulerMaruyama().step(denoiser, none, t, s, label, (), one).x)
            value = factor**2 * value + fresh**2
        return value

    end = grid(process, 1)[-1]
    exact = float(process.alpha(end) ** 2 * 0.36 + process.sigma(end) ** 2)
    errors = [abs(variance(n) - exact) for n in STEPS]
    assert math.isclose(variance(2000), exact, rel_tol=0.01)
    assert fitted(STEPS, errors) == pytest.approx(EulerMaruyama.order, abs=0.15)
