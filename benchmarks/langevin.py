"""Annealed and plain Langevin dynamics on two far modes of unequal weight: which of them keeps the weights."""

from __future__ import annotations

import argparse

import torch
from torch import Tensor

from benchmarks.runner import Outcome
from evenscore.denoisers.oracle import GaussianMixture
from evenscore.process import VE
from evenscore.random import generator
from evenscore.solvers import AnnealedLangevin, Solver, integrate, ladder

SUMMARY = "Annealed Langevin dynamics keeps mode weights 0.8 / 0.2 at +-(5, 5); plain Langevin dynamics does not"
SHARE = 0.8
FIRST, LAST = 20.0, 0.1
LEVELS, STEPS = 10, 100
EPS = 0.004


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--chains", type=int, default=4000, help="chains of each seed")
    parser.add_argument("--seeds", type=int, default=5, help="how many seeds")


def run(args: argparse.Namespace) -> Outcome:
    """The share of chains that end in the heavy mode, the worst over seeds against the bound."""
    denoiser = modes()
    levels = ladder(denoiser.process, LEVELS, FIRST, LAST)
    annealed = torch.cat([levels[:1], levels])
    plain = levels[-1].expand(2)
    shares: dict[str, list[float]] = {"paper": [], "code": [], "plain": []}
    for seed in range(args.seeds):
        for convention in ("paper", "code"):
            solver = AnnealedLangevin(STEPS, EPS, LAST, convention)
            shares[convention].append(heavy(denoiser, solver, annealed, seed, args.chains))
        # As many steps, at the last level only, and fifty times as long: every chain reaches a mode.
        solver = AnnealedLangevin(LEVELS * STEPS, 50 * EPS, LAST)
        shares["plain"].append(heavy(denoiser, solver, plain, seed, args.chains))
    miss = {name: [abs(share - SHARE) for share in found] for name, found in shares.items()}
    values = {
        "share of the heavy mode": shares,
        "annealed, worst miss": max(miss["paper"]),
        "annealed (code's convention), worst miss": max(miss["code"]),
        "plain, smallest miss": min(miss["plain"]),
        "chains": args.chains,
    }
    bound = {
        "annealed, worst miss": 0.04,
        "annealed (code's convention), worst miss": 0.04,
        "plain, smallest miss": 0.2,
    }
    holds = max(miss["paper"] + miss["code"]) <= 0.04 and min(miss["plain"]) >= 0.2
    return Outcome(values, bound, holds)


def modes() -> GaussianMixture:
    """Weights 0.8 and 0.2 at (5, 5) and (-5, -5), unit covariance."""
    process = VE(sigma_min=LAST, sigma_max=FIRST)
    means = torch.tensor([[5.0, 5.0], [-5.0, -5.0]], dtype=torch.float64)
    return GaussianMixture.isotropic(process, means, [1.0, 1.0], [0, 0], [SHARE, 1 - SHARE])


def heavy(denoiser: GaussianMixture, solver: Solver, times: Tensor, seed: int, chains: int) -> float:
    """The share of chains that end nearer to (5, 5); all begin in the prior of the process."""
    source = generator(seed, "chains")
    x = denoiser.process.prior(torch.randn(chains, 2, generator=source))
    y = torch.zeros(chains, dtype=torch.int64)
    for step in integrate(denoiser, solver, x, times, y, lambda shape: torch.randn(chains, *shape, generator=source)):
        x = step.x
    return float((x.sum(1) > 0).double().mean())
