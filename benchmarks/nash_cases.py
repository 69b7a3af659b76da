"""The data of the game benchmarks: the paper's one-dimensional cases, and ten classes in the plane."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from benchmarks.games import Law
from evenscore.games import Grid, LossWeights, Problem
from evenscore.random import generator

TWO = (36, 14)
"""Fifty points, imbalance 2.5."""
TEN = tuple(round(500 * 0.01 ** (k / 9)) for k in range(10))
NEAR, MIDDLE, FAR = (0, 3, 6, 9), (1, 4, 7), (2, 5, 8)
"""Classes of the plane by how far their neighbours are: 0.6, 2 and 8 standard deviations, each with a head and tail class."""
SPREAD = 1.0
MUS = (0.25, 0.5, 1.0, 2.0, 3.0, 5.0)


@dataclass(frozen=True)
class Case:
    """Laws of the classes, which may differ by seed, and the size of the problem."""

    laws: Callable[[int], list[Law]]
    counts: tuple[int, ...]
    features: int
    nodes: int


def gaussian(mean: float, variance: float) -> Law:
    """A Gaussian on the line."""
    return mixture([mean], variance)


def mixture(means: list[float], variance: float) -> Law:
    """Equal parts on the line."""
    centres = torch.tensor(means, dtype=torch.float64)[:, None]
    spread = torch.full((len(means), 1, 1), variance, dtype=torch.float64)
    return Law(centres, spread, torch.full((len(means),), 1 / len(means), dtype=torch.float64))


def plane(seed: int) -> list[Law]:
    """Ten classes: three neighbourhoods; the two largest classes have two parts, every class its own covariance."""
    random = generator(seed, "plane")
    laws: list[Law] = []
    for k in range(10):
        shape = torch.randn(2, 2, generator=random, dtype=torch.float64)
        covariance = SPREAD**2 * (torch.eye(2, dtype=torch.float64) + 0.25 * shape @ shape.T) / 1.5
        angle = 2 * math.pi * float(torch.rand((), generator=random))
        place = torch.tensor(_place(k, angle), dtype=torch.float64)
        split = torch.linalg.cholesky(covariance)[:, 0] * (2.0 if k < 2 else 0.0)
        means = torch.stack([place - split, place + split]) if k < 2 else place[None]
        parts = len(means)
        laws.append(Law(means, covariance.expand(parts, 2, 2), torch.full((parts,), 1 / parts, dtype=torch.float64)))
    return laws


def _place(k: int, angle: float) -> tuple[float, float]:
    """Where a class stands: near ones round (-3, 0), middle ones round (3, 0), far ones on a wide circle."""
    if k in FAR:
        turn = 2 * math.pi * FAR.index(k) / 3 + 0.5
        return 8 * math.cos(turn), 8 * math.sin(turn)
    distance = SPREAD * (0.6 if k in NEAR else 2.0)
    return (-3.0 if k in NEAR else 3.0) + distance * math.cos(angle), distance * math.sin(angle)


def _line(*laws: Law) -> Callable[[int], list[Law]]:
    return lambda seed: list(laws)


def two_gaussians(mu: float) -> Case:
    """The paper's first case: N(-mu, 1) with the larger count, N(mu, 1) with the smaller."""
    return Case(_line(gaussian(-mu, 1.0), gaussian(mu, 1.0)), TWO, 16, 200)


CASES: Mapping[str, Case] = {
    **{f"mu {mu:g}": two_gaussians(mu) for mu in MUS},
    "equal means": Case(_line(mixture([-4.0, 4.0], 3.0), gaussian(0.0, 2.0)), TWO, 16, 200),
    "ten classes": Case(plane, TEN, 96, 192),
}


def samples_of(case: Case, seed: int) -> list[torch.Tensor]:
    """Training samples of each class of a case."""
    random = generator(seed, "samples")
    return [law.draw(n, random) for law, n in zip(case.laws(seed), case.counts, strict=True)]


def problem_of(
    case: Case, seed: int, coupling: str = "exp", sharing: str = "shared", centring: str = "origin"
) -> Problem:
    """The problem of one case and seed."""
    weights = LossWeights(coupling=coupling)
    return Problem(samples_of(case, seed), case.features, seed, Grid(), weights, sharing, centring)
