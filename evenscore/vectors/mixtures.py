"""Gaussian mixtures of the rows of one class, each part shrunk towards the class: by expectation and maximisation.

Part j of J has the weight w_j, the mean m_j of its rows, and the covariance

    ( C_j + nu S / J^(2/D) ) / ( N_j + nu ),

where N_j and C_j are the rows and the scatter matrix that part j answers for and S is the covariance of the class: a prior round S of
a volume that all parts share (Fraley & Raftery 2007, "Bayesian regularization for normal mixture estimation and model-based
clustering", section 3.2), at its mean. Law: a fit is a function of the rows, J, nu and the seed; every covariance is positive; one part
with nu = 0 has the moments of the rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from evenscore.random import generator

ROUNDS = 100
ENOUGH = 1e-3
"""Gain in log-likelihood of a row, in nats, below which rounds end."""


@dataclass(frozen=True)
class Mixture:
    """A Gaussian mixture of J parts.

    Attributes:
        weights: (J,), summing to 1.
        means: (J, D).
        covariances: (J, D, D).
    """

    weights: Tensor
    means: Tensor
    covariances: Tensor

    def joint(self, x: Tensor) -> Tensor:
        """Log of weight times density (n, J) of rows (n, D), in nats."""
        roots = torch.linalg.cholesky(self.covariances)
        parts = []
        for weight, mean, root in zip(self.weights, self.means, roots, strict=True):
            there = torch.linalg.solve_triangular(root, (x - mean).T, upper=False)
            size = 2 * root.diagonal().log().sum() + x.shape[1] * math.log(2 * math.pi)
            parts.append(weight.log() - 0.5 * (there.square().sum(0) + size))
        return torch.stack(parts, 1)

    def log_density(self, x: Tensor) -> Tensor:
        """``log p(x)`` (n,) of rows (n, D), in nats."""
        return self.joint(x).logsumexp(1)


def fit_mixture(rows: Tensor, parts: int, covariance: Tensor, weight: float, seed: int) -> Mixture:
    """A mixture.

    Args:
        rows: (n, D) float64, n at least ``parts``.
        parts: J.
        covariance: (D, D) S, positive.
        weight: nu, above 0.
        seed: of the first parts.
    """
    prior = covariance * parts ** (-2 / rows.shape[1])
    found = _maximised(rows, _first(rows, parts, covariance, seed), prior, weight)
    before = -math.inf
    for _ in range(ROUNDS):
        joint = found.joint(rows)
        total = joint.logsumexp(1)
        level = float(total.mean())
        if level - before < ENOUGH:
            break
        before = level
        found = _maximised(rows, (joint - total[:, None]).exp(), prior, weight)
    return found


def _first(rows: Tensor, parts: int, covariance: Tensor, seed: int) -> Tensor:
    """Shares (n, J), each row of the nearest of J rows that are drawn far from each other (k-means++), after k-means."""
    root = torch.linalg.cholesky(covariance)
    x = torch.linalg.solve_triangular(root, rows.T, upper=False).T
    random = generator(seed, "parts", parts)
    centres = x[torch.randint(len(x), (1,), generator=random)]
    for _ in range(parts - 1):
        far = torch.cdist(x, centres).amin(1).square()
        chosen = torch.multinomial(far + 1e-12, 1, generator=random)
        centres = torch.cat([centres, x[chosen]])
    for _ in range(10):
        near = torch.cdist(x, centres).argmin(1)
        share = torch.nn.functional.one_hot(near, parts).to(x)
        counts = share.sum(0)[:, None]
        centres = torch.where(counts > 0, share.T @ x / counts.clamp_min(1), centres)
    return share


def _maximised(rows: Tensor, share: Tensor, prior: Tensor, weight: float) -> Mixture:
    """The mixture of shares (n, J)."""
    counts = share.sum(0).clamp_min(1e-6)
    means = share.T @ rows / counts[:, None]
    covariances = []
    for j in range(len(counts)):
        rest = rows - means[j]
        scatter = (share[:, j, None] * rest).T @ rest
        covariances.append((scatter + weight * prior) / (counts[j] + weight))
    return Mixture(counts / counts.sum(), means, torch.stack(covariances))
