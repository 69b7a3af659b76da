"""Gaussian mixtures of the rows of one class, parts shrunk towards what they have in common: by expectation and maximisation.

Part j of J has the weight w_j, the mean m_j of its rows, and the covariance

    ( C_j + nu W ) / ( N_j + nu ),        W = ( sum_j C_j + D S / J^(2/D) ) / ( n + D ),

where N_j and C_j are the rows and the scatter matrix that part j answers for and S is the covariance of the class. So a
part costs little more than its mean until its rows say otherwise, and what the parts have in common leans on the scale of
Fraley & Raftery 2007, "Bayesian regularization for normal mixture estimation and model-based clustering", section 3.2,
with the weight of D rows. Law: a fit is a function of the rows, J, nu and the seed; every covariance is positive; the mean
of a mixture is that of the rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from evenscore.random import generator

ROUNDS, STARTS, MEANS = 100, 5, 10
"""Rounds of the mixture, at most; starts of the k-means before it, and the rounds of each."""
ENOUGH = 1e-3
"""Gain in log-likelihood of a row, in nats, below which rounds end."""


@dataclass(frozen=True)
class Mixture:
    """A Gaussian mixture of J parts.

    Attributes:
        weights: (J,), summing to 1.
        means: (J, D), on the axes of ``root``.
        covariances: (J, D, D), on the axes of ``root``.
        root: (D, D) L, lower triangular: x = L z, so that directions in which the class hardly varies do no harm.
    """

    weights: Tensor
    means: Tensor
    covariances: Tensor
    root: Tensor

    def log_density(self, x: Tensor) -> Tensor:
        """``log p(x)`` (n,) of rows (n, D), in nats."""
        return self.joint(whitened(x, self.root)).logsumexp(1) - self.root.diagonal().log().sum()

    def joint(self, z: Tensor) -> Tensor:
        """Log of weight times density (n, J), in nats, of rows (n, D) on the axes of ``root``."""
        roots = torch.linalg.cholesky(self.covariances)
        parts = []
        for weight, mean, root in zip(self.weights, self.means, roots, strict=True):
            there = whitened(z - mean, root)
            size = 2 * root.diagonal().log().sum() + z.shape[1] * math.log(2 * math.pi)
            parts.append(weight.log() - 0.5 * (there.square().sum(1) + size))
        return torch.stack(parts, 1)

    def laws(self) -> tuple[Tensor, Tensor]:
        """Means (J, D) and covariances (J, D, D) of the parts in the units of the rows."""
        return self.means @ self.root.T, self.root @ self.covariances @ self.root.T


def whitened(x: Tensor, root: Tensor) -> Tensor:
    """``z`` (n, D) of ``x = root z``."""
    z: Tensor = torch.linalg.solve_triangular(root, x.T, upper=False).T
    return z


def fit_mixture(rows: Tensor, parts: int, covariance: Tensor, weight: float, seed: int) -> Mixture:
    """A mixture.

    Args:
        rows: (n, D) float64, n at least ``parts``.
        parts: J.
        covariance: (D, D) S, positive.
        weight: nu, above 0.
        seed: of the first parts.
    """
    root = torch.linalg.cholesky(covariance)
    z = whitened(rows, root)
    found = _maximised(z, _first(z, parts, seed), root, weight)
    before = -math.inf
    for _ in range(ROUNDS):
        joint = found.joint(z)
        total = joint.logsumexp(1)
        level = float(total.mean())
        if level - before < ENOUGH:
            break
        before = level
        found = _maximised(z, (joint - total[:, None]).exp(), root, weight)
    return found


def _first(z: Tensor, parts: int, seed: int) -> Tensor:
    """Shares (n, J): each row is of the nearest of J centres, by the best of :data:`STARTS` runs of k-means."""
    best, least = torch.zeros(0), math.inf
    for start in range(STARTS):
        share, squares = _clusters(z, parts, generator(seed, "parts", parts, start))
        if squares < least:
            best, least = share, squares
    return best


def _clusters(z: Tensor, parts: int, random: torch.Generator) -> tuple[Tensor, float]:
    """Shares (n, J) by k-means from rows drawn far from each other (k-means++), and the mean squared distance."""
    centres = z[torch.randint(len(z), (1,), generator=random)]
    for _ in range(parts - 1):
        far = torch.cdist(z, centres).amin(1).square()
        centres = torch.cat([centres, z[torch.multinomial(far + 1e-12, 1, generator=random)]])
    share, squares = torch.zeros(0), math.inf
    for _ in range(MEANS):
        distance, near = torch.cdist(z, centres).min(1)
        squares = float(distance.square().mean())
        share = torch.nn.functional.one_hot(near, parts).to(z)
        counts = share.sum(0)[:, None]
        centres = torch.where(counts > 0, share.T @ z / counts.clamp_min(1), centres)
    return share, squares


def _maximised(z: Tensor, share: Tensor, root: Tensor, weight: float) -> Mixture:
    """The mixture of shares (n, J), on the axes where S is the identity."""
    size, parts = z.shape[1], share.shape[1]
    counts = share.sum(0).clamp_min(1e-6)
    means = share.T @ z / counts[:, None]
    rest = [z - mean for mean in means]
    scatter = torch.stack([(share[:, j, None] * rest[j]).T @ rest[j] for j in range(parts)])
    floor = size * parts ** (-2 / size) * torch.eye(size, dtype=z.dtype)
    pooled = (scatter.sum(0) + floor) / (len(z) + size)
    covariances = (scatter + weight * pooled) / (counts[:, None, None] + weight)
    return Mixture(counts / counts.sum(), means, covariances, root)
