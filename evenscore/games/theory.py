"""What the theory of the mutual-learning game sets: orders of magnitude from the corollary, and the smoothness bound.

Das et al. 2025, theorem 1 and corollary 1. Everything here is known up to constants and logarithms that the paper does not
give: the numbers say how quantities scale, not what to run with. What was measured stands in docs/game.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from evenscore.errors import UsageError
from evenscore.games.moments import Grid, LossWeights
from evenscore.networks.random_features import RandomFeatures


@dataclass(frozen=True)
class Corollary:
    """Orders of magnitude for an error of epsilon in every class (up to the additive constant of the theorem).

    Attributes:
        horizon: T = 1/2 log(d / epsilon), at least 1.
        intervals: N = d (T + log(1/alpha))^2 / epsilon.
        kappa: (T + log(1/alpha)) / N, the step of the grid.
        beta: epsilon, the strength of the coupling.
        train_steps: epsilon^-6.
        features: m = epsilon^-2.
    """

    horizon: float
    intervals: int
    kappa: float
    beta: float
    train_steps: float
    features: int


def corollary(epsilon: float, dim: int, alpha: float) -> Corollary:
    """What the corollary sets for a target error.

    Args:
        epsilon: target, in nats, in (0, 1).
        dim: d, coordinates of a sample.
        alpha: early stopping time, in (0, 1).

    Raises:
        UsageError: a value outside its range.
    """
    if not (0 < epsilon < 1 and dim >= 1 and 0 < alpha < 1):
        raise UsageError(
            f"epsilon={epsilon:g}, dim={dim}, alpha={alpha:g} cannot be used: give epsilon and alpha between 0 and 1, "
            "and at least one dimension"
        )
    horizon = max(1.0, math.log(dim / epsilon) / 2)
    length = horizon + math.log(1 / alpha)
    intervals = max(math.ceil(dim * length**2 / epsilon), math.floor(math.log(1 / alpha)) + 1)
    return Corollary(horizon, intervals, length / intervals, epsilon, epsilon**-6, math.ceil(epsilon**-2))


def paper_smoothness(
    features: RandomFeatures, grid: Grid, weights: LossWeights, beta: float, samples: Tensor, tail: float = 1e-3
) -> float:
    """The paper's bound ``L_y / m^2`` on the smoothness of a player's loss, for the descent rate ``paper``.

    ``L_y = d (C_x + C_e)^2 C_wu^2 sum_j (t_j - t_{j-1}) (lambda_j sb_j + beta omega_j)`` with ``C_x`` the bound
    on coordinates of noisy samples that holds with probability ``1 - tail``, ``C_e`` the bound on the embedding and ``C_wu``
    the largest l1 norm of a row.

    Args:
        features: whose W and U are used.
        grid: times.
        weights: over the times.
        beta: largest strength.
        samples: (N, D) clean samples.
        tail: probability outside ``C_x``.
    """
    times = grid.times()
    steps = torch.diff(times, prepend=torch.zeros(1, dtype=torch.float64))
    data, omega = weights.at(times, grid.process)
    sigma = grid.process.sigma(times / grid.horizon)
    z = float(torch.special.ndtri(torch.tensor(1 - tail / (2 * samples.numel()), dtype=torch.float64)))
    widest = (float(samples.abs().max()) + z) / features.scale
    rows = torch.cat([features.inner, features.outer], dim=-1).abs().sum(-1)
    total = float((steps * (data * sigma + beta * omega)).sum())
    return features.size * (widest + 1) ** 2 * float(rows.max()) ** 2 * total / features.count**2
