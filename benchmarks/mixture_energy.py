"""Squared energy distance of samples to samples of an isotropic Gaussian mixture, its mean over these in closed form.

    D^2 = 2 E|x - y| - E|x - x'| - E|y - y'|       empirical laws of n points, a point with itself counted

For ``y ~ N(m, s^2 I)`` in the plane ``|x - y|`` has Rice's law, whose mean is known (Rice 1945); so ``E|x - y|`` over a mixture
is a mean over its components, and ``E|y - y'|`` one over pairs of components with the variance 2 s^2. What remains random is x
alone. D^2 of two exact samples of n points has the mean ``2 E|y - y'| / n``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from scipy.special import hyp1f1
from torch import Tensor


@dataclass(frozen=True)
class EqualModes:
    """Modes of equal mass and spread in the plane.

    Attributes:
        means: (M, 2) float64.
        deviation: standard deviation of a coordinate within a mode.
    """

    means: Tensor
    deviation: float

    @property
    def spread(self) -> float:
        """``E|y - y'|`` of two independent samples."""
        return float(self._mean_distance(self.means, math.sqrt(2) * self.deviation).mean())

    def squared_distance(self, x: Tensor) -> float:
        """D^2 of samples (n, 2) and as many of the mixture, mean over the latter."""
        others = 1 - 1 / len(x)
        across = float(self._mean_distance(x.double(), self.deviation).mean())
        return 2 * across - others * (float(torch.pdist(x.double()).mean()) + self.spread)

    def usual(self, n: int) -> float:
        """D^2 of two samples of the mixture of ``n`` points, mean over both."""
        return 2 * self.spread / n

    def _mean_distance(self, x: Tensor, deviation: float) -> Tensor:
        """(N, M) mean distance of points (N, 2) to normal points around each mean."""
        quotient = torch.cdist(x, self.means).square() / (2 * deviation**2)
        return deviation * math.sqrt(math.pi / 2) * torch.from_numpy(hyp1f1(-0.5, 1, -quotient.numpy()))
