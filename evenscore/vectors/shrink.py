"""Means and covariances of unequal classes of vectors: small classes lean on what all classes have in common.

* The **common covariance** W is that of the rows round their class means, mixed with a share rho of a multiple of the identity.
  rho is chosen by the likelihood of left-out rows.
* A class of n rows with scatter matrix C has the covariance ``(C + nu W) / (n - 1 + nu)``, the posterior mean under an
  inverse-Wishart prior round W of weight nu (Gelman et al., "Bayesian Data Analysis", section 3.6). nu is chosen by
  the likelihood of the class's left-out rows; a class that is too small for that takes nu = D.
* The mean of a class of fewer than :data:`SMALL` rows is its posterior mean in the population of class means
  (:mod:`evenscore.games.population`), where there are at least three classes to know a population by.

Law: a class of many rows keeps its own moments; a class of one row has its row as its mean (or a point towards the
others) and W as its covariance.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from evenscore.games.population import hyper_means, shrunk_means
from evenscore.random import generator

RIDGES = (1e-6, 1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 0.6)
FOLDS = 5
MOST = 4000
"""Rows by which rho is chosen, at most."""
SMALL = 20
LEAST_SPREAD = 1e-6
"""Smallest variance of a direction of W, in units of the mean variance."""


def folds(n: int, seed: int, *keys: int | str, number: int = FOLDS) -> Iterator[tuple[Tensor, Tensor]]:
    """Index pairs (kept, left out) of ``number`` folds (as many as there are rows when they are fewer)."""
    order = torch.randperm(n, generator=generator(seed, "folds", *keys))
    parts = order.tensor_split(min(number, n))
    for i, out in enumerate(parts):
        yield torch.cat([part for j, part in enumerate(parts) if j != i]), out


def common_covariance(samples: Sequence[Tensor], seed: int) -> Tensor:
    """W (D, D) of the rows (n_k, D) of each class."""
    rest = torch.cat([rows - rows.mean(0) for rows in samples])
    freedom = max(1, len(rest) - len(samples))
    own = rest.T @ rest / freedom
    size = own.shape[0]
    level = float(own.diagonal().mean())
    identity = torch.eye(size, dtype=own.dtype)
    if level <= 0:
        return identity * LEAST_SPREAD
    informed = torch.cat([rows - rows.mean(0) for rows in samples if len(rows) > 1] or [rest])
    rho = _ridge(informed, seed) if len(informed) > FOLDS else RIDGES[-1]
    return (1 - rho) * own + max(rho, LEAST_SPREAD) * level * identity


def _ridge(rest: Tensor, seed: int) -> float:
    """The rho of the greatest likelihood of left-out rows."""
    order = torch.randperm(len(rest), generator=generator(seed, "ridge"))[:MOST]
    rows, score = rest[order], torch.zeros(len(RIDGES), dtype=torch.float64)
    for kept, out in folds(len(rows), seed, "ridge"):
        cov = rows[kept].T @ rows[kept] / len(kept)
        variances, axes = torch.linalg.eigh(cov)
        level = variances.clamp_min(0).mean().clamp_min(1e-300)
        square = (rows[out] @ axes).square()
        for i, rho in enumerate(RIDGES):
            v = (1 - rho) * variances.clamp_min(0) + rho * level
            score[i] -= 0.5 * (square / v + v.log()).sum()
    return RIDGES[int(score.argmax())]


def class_covariance(scatter: Tensor, freedom: float, common: Tensor, weight: float) -> Tensor:
    """``(C + nu W) / (freedom + nu)``; W itself for an infinite weight.

    Args:
        scatter: (D, D) C, sum of squares round the mean.
        freedom: n - 1.
        common: (D, D) W.
        weight: nu.
    """
    if math.isinf(weight):
        return common
    return (scatter + weight * common) / (freedom + weight)


def class_means(samples: Sequence[Tensor], common: Tensor) -> Tensor:
    """(K, D) means, those of small classes shrunk to the population of means."""
    own = torch.stack([rows.mean(0) for rows in samples])
    counts = torch.tensor([len(rows) for rows in samples], dtype=torch.float64)
    small = counts < SMALL
    if len(samples) < 3 or not bool(small.any()):
        return own
    mean, between = hyper_means(own, counts, common)
    shrunk = shrunk_means(own, counts, common, mean, between)
    return torch.where(small[:, None], shrunk, own)
