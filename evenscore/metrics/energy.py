"""Squared energy distance of two sets of features, without a bandwidth or a kernel to choose.

    2 mean_{ij} |x_i - y_j| - mean_{i != j} |x_i - x_j| - mean_{i != j} |y_i - y_j|       Szekely & Rizzo 2013, eq. 5

Law: U-statistics within each set, so the estimate is unbiased at every sample size and may be below 0. It is the squared
maximum mean discrepancy with the kernel -|x - y|, and its replicates are those of ``kernel``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from evenscore.metrics.base import as_pair, enough
from evenscore.metrics.interval import Estimate, Resampling
from evenscore.metrics.kernel import between, combine, within

PROBE = 1024


def energy_distance(generated: Any, reference: Any) -> float:
    """The squared distance of features (N,D) and (M,D).

    Raises:
        DataError: features that do not compare.
        UsageError: fewer than 2 samples.
    """
    return energy_estimate(generated, reference, Resampling(replicates=0)).value


def energy_estimate(generated: Any, reference: Any, resampling: Resampling) -> Estimate:
    """The squared distance with bootstrap replicates.

    Raises:
        DataError: features that do not compare.
        UsageError: fewer than 2 samples.
    """
    x, y = as_pair(generated, reference)
    enough(x, 2, "an energy distance")
    enough(y, 2, "an energy distance")
    middle = y.mean(0)
    x, y = x - middle, y - middle
    usual = float(torch.cdist(x[:PROBE], y[:PROBE]).mean())
    w, v = resampling.counts(len(x), "generated"), resampling.counts(len(y), "reference")

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return torch.cdist(a, b).neg_().add_(usual)

    return combine(within(x, w, kernel), within(y, v, kernel), between(x, w, y, v, kernel))
