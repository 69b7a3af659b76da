"""Kernel distance: the squared maximum mean discrepancy of two sets of features with the kernel (x.y / D + 1)^3.

    mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean_{ij} k(x_i, y_j)       Gretton et al. 2012, eq. 3

Law: the estimate is unbiased at every sample size, so it may be below 0, and small sets compare with large ones. Two
estimators are named: ``whole`` uses every pair once; ``subsets`` is the mean over 100 random subsets of 1000 rows
(Binkowski et al. 2018, "KID"), which agrees on average and scatters more.

A replicate weighs pairs by counts; a row is never paired with its own copies, which would add the diagonal that the
estimate leaves out. Adding a constant to a kernel changes nothing, so the mean is taken off first, against rounding.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from evenscore.metrics.base import as_pair, enough
from evenscore.metrics.interval import Estimate, Resampling
from evenscore.random import generator

SUBSETS, SUBSET_SIZE = 100, 1000
CHUNK, BLOCK = 1024, 2**20
"""Rows of a block of pairs, and its pairs, at most."""


class Paired(NamedTuple):
    """Sums over pairs of rows, with every weight 1 and with the counts of each replicate, and how many pairs they are."""

    sum: float
    pairs: float
    sums: Tensor
    weights: Tensor


def cubic(x: Tensor, y: Tensor) -> Tensor:
    """Kernel values (n,m) of rows (n,D) and (m,D)."""
    inner = x @ y.T
    return inner.div_(x.shape[1]).add_(1).pow_(3)


def kernel_distance(generated: Any, reference: Any) -> float:
    """The estimator ``whole`` of features (N,D) and (M,D).

    Raises:
        DataError: features that do not compare.
        UsageError: fewer than 2 samples.
    """
    return kernel_estimate(generated, reference, Resampling(replicates=0)).value


def kernel_distance_subsets(
    generated: Any, reference: Any, *, seed: int, subsets: int = SUBSETS, size: int = SUBSET_SIZE
) -> tuple[float, float]:
    """The estimator ``subsets``: mean and standard deviation over subsets of ``size`` rows without replacement.

    A set with fewer rows than ``size`` takes part whole. The deviation is that of subsets, not of the mean.

    Raises:
        DataError: features that do not compare.
        UsageError: fewer than 2 samples.
    """
    x, y = as_pair(generated, reference)
    draws = generator(seed, "kernel subsets")
    found = [
        kernel_distance(*(rows[torch.randperm(len(rows), generator=draws)[:size]] for rows in (x, y)))
        for _ in range(subsets)
    ]
    values = torch.tensor(found, dtype=torch.float64)
    return float(values.mean()), float(values.std(correction=0))


def kernel_estimate(generated: Any, reference: Any, resampling: Resampling) -> Estimate:
    """The estimator ``whole`` with bootstrap replicates.

    Raises:
        DataError: features that do not compare.
        UsageError: fewer than 2 samples.
    """
    x, y = as_pair(generated, reference)
    enough(x, 2, "a kernel distance")
    enough(y, 2, "a kernel distance")
    centre = float(cubic(x[:CHUNK], y[:CHUNK]).mean())
    w, v = resampling.counts(len(x), "generated"), resampling.counts(len(y), "reference")

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return cubic(a, b).sub_(centre)

    return combine(within(x, w, kernel), within(y, v, kernel), between(x, w, y, v, kernel))


def combine(first: Paired, second: Paired, across: Paired) -> Estimate:
    """First + second - 2 across, each a mean over pairs."""
    value, replicates = (
        sum(sign * part[s] / part[s + 1] for sign, part in ((1, first), (1, second), (-2, across))) for s in (0, 2)
    )
    return Estimate(float(value), torch.as_tensor(replicates))


def within(x: Tensor, w: Tensor, kernel: Any) -> Paired:
    """Over pairs of different rows of ``x`` (n,D), by counts ``w`` (B,n) of the replicates; later blocks count twice."""
    total, sums = 0.0, torch.zeros(len(w), dtype=torch.float64)
    light = w.float()
    step = _step(len(x))
    for start in range(0, len(x), step):
        values = kernel(x[start : start + step], x[start:])
        values.diagonal().fill_(0)
        values[:, step:].mul_(2)
        total += float(values.sum())
        sums += _weighed(values, light[:, start : start + step], light[:, start:])
    return Paired(total, len(x) * (len(x) - 1.0), sums, w.sum(1) ** 2 - w.square().sum(1))


def between(x: Tensor, w: Tensor, y: Tensor, v: Tensor, kernel: Any) -> Paired:
    """Over pairs of a row of ``x`` and one of ``y``."""
    total, sums = 0.0, torch.zeros(len(w), dtype=torch.float64)
    light = v.float()
    step = _step(len(y))
    for start in range(0, len(x), step):
        values = kernel(x[start : start + step], y)
        total += float(values.sum())
        sums += _weighed(values, w[:, start : start + step].float(), light)
    return Paired(total, float(len(x) * len(y)), sums, w.sum(1) * v.sum(1))


def _step(columns: int) -> int:
    """Rows of a block with so many columns."""
    return min(CHUNK, max(1, BLOCK // columns))


def _weighed(values: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """left_b^T values right_b of each replicate b; single precision is enough for an interval."""
    if len(left) == 0:
        return torch.zeros(0, dtype=torch.float64)
    return ((left @ values.float()) * right).sum(1, dtype=torch.float64)
