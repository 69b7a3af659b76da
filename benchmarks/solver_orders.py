"""Every process and solver against closed forms: derivatives, declared orders, sampled moments and density."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks import instruments as on
from benchmarks.runner import Outcome
from evenscore.denoisers.oracle import GaussianMixture
from evenscore.process import PROCESSES, VP, Process
from evenscore.solvers import GRIDS, SOLVERS, integrate

SUMMARY = "Processes against autograd, and every solver's order, moments and density on oracles, against closed forms"
BOUND = {"derivative error": 1e-8, "order error": 0.15, "moment error": 0.02, "total variation": 0.03}
CHAINS = ("langevin", "annealed-langevin")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--solvers", nargs="+", default=list(SOLVERS), choices=list(SOLVERS), help="which to measure")


def run(args: argparse.Namespace) -> Outcome:
    """Measure all, on VP where a single process is meant."""
    torch.set_num_threads(1)
    processes = {name: kind() for name, kind in PROCESSES.items()}
    values: dict[str, Any] = {"derivative error": {name: derivative_error(p) for name, p in processes.items()}}
    for row in ("order", "order error", "moment error", "total variation", "evaluations"):
        values[row] = {}
    for name in args.solvers:
        started = time.monotonic()
        orders = [order(p, name) for p in processes.values()]
        declared = SOLVERS[name].order
        values["order"][name] = orders[0]
        values["order error"][name] = max(abs(found - declared) for found in orders)
        values["moment error"][name] = max(moments(name, on.planar(VP())), moments(name, single(VP())))
        values["total variation"][name] = density(name)
        values["evaluations"][name] = evaluations(name)
        print(f"{name}: {time.monotonic() - started:.0f} s", flush=True)
    bound = {row: dict.fromkeys(values[row], limit) for row, limit in BOUND.items()}
    holds = all(value <= limit for row, limit in BOUND.items() for value in values[row].values())
    return Outcome(values, bound, holds)


def derivative_error(process: Process) -> float:
    """Largest relative difference of drift and of squared diffusion from the derivatives of alpha and sigma."""
    t = torch.linspace(max(process.t_min, 1e-3), min(process.t_max, 0.999), 201, dtype=torch.float64)
    alpha_dot, sigma_dot = _derivative(process.alpha, t), _derivative(process.sigma, t)
    drift = alpha_dot / process.alpha(t)
    squared = 2 * process.sigma(t) * (sigma_dot - drift * process.sigma(t))
    first = (process.drift(t) - drift).abs() / (1 + drift.abs())
    second = (process.diffusion(t).square() - squared).abs() / (1 + squared.abs())
    return float(torch.maximum(first, second).max())


def _derivative(function: Callable[[Tensor], Tensor], t: Tensor) -> Tensor:
    t = t.clone().requires_grad_()
    value = function(t).sum()
    return torch.autograd.grad(value, t)[0] if value.requires_grad else torch.zeros_like(t)


def order(process: Process, name: str) -> float:
    """The fitted order of one solver on one process."""
    if name in CHAINS:
        parts = (8, 16, 32)
        return on.fitted(parts, [on.level_error(process, name, n) for n in parts])
    stochastic = on.fine(name, 1).stochastic
    steps = (128, 256, 512) if stochastic else (32, 64, 128)
    exact = None if stochastic else on.flow_end(process, on.fine("adaptive", 500), 500)
    return on.fitted(steps, [on.grid_error(process, name, n, exact) for n in steps])


def single(process: Process) -> GaussianMixture:
    """One Gaussian with a full covariance."""
    mean = torch.tensor([[0.8, -0.6]], dtype=torch.float64)
    covariance = torch.tensor([[[0.4, 0.25], [0.25, 0.3]]], dtype=torch.float64)
    return GaussianMixture(process, mean, covariance, [0])


def moments(name: str, denoiser: GaussianMixture) -> float:
    """Largest relative error of the sampled moments of class 0."""
    return max(on.moment_errors(denoiser, on.draw_case(denoiser, name, 0, 1024 if name in CHAINS else 4096), 0))


def density(name: str) -> float:
    """Total variation of the sampled density from the exact one, over 40 bins."""
    denoiser = on.linear(VP())
    return on.total_variation(denoiser, on.draw_case(denoiser, name, 0, 8192 if name in CHAINS else 16384), 0)


def evaluations(name: str) -> float:
    """Denoiser evaluations per sample that the moments took, the mean over samples."""
    rows = 0
    denoiser = on.planar(VP())
    denoiser.register_forward_hook(lambda module, given, result: _count(len(given[0])))

    def _count(found: int) -> None:
        nonlocal rows
        rows += found

    case, y = on.CASES[name], torch.zeros(16, dtype=torch.int64)
    x = denoiser.process.prior(on.spread_evenly(16, 2))
    solver, times = on.solver_of(name, case.settings), GRIDS[case.grid](VP(), case.steps)
    for _ in integrate(denoiser, solver, x, times, y, lambda shape: torch.zeros(16, *shape)):
        pass
    return rows / 16
