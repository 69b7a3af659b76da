"""Exponential integrator: the score is frozen over a step, all else is solved exactly.

The sampler of "Principled Long-Tailed Generative Modeling via Diffusion Models" (Das et al. 2025), there for OU.

Law: the reverse SDE from t to s with a constant score has the solution, with ``r = sigma^2 / alpha^2``,

    x_s = (alpha_s / alpha_t) x_t + alpha_s A score + alpha_s sqrt(r_t - r_s) z,    A = integral of alpha dr from s to t

For OU this is ``e^h x + 2 (e^h - 1) score + sqrt(e^(2h) - 1) z`` with h the step in the time of the process. ``A`` has such
closed forms for single processes only, so it is computed for all of them by Gauss-Legendre quadrature in log SNR.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from evenscore.kernel import Gaussian, Level, forward_std
from evenscore.prediction import Prediction
from evenscore.process import Process
from evenscore.solvers.base import KernelSolver

NODES = 64


@dataclass(frozen=True)
class ExponentialIntegrator(KernelSolver):
    """Exponential integrator of the reverse SDE; no settings."""

    order: ClassVar[int] = 1

    def kernel(self, process: Process, now: Prediction, before: Level, after: Level) -> Gaussian:
        back = after.alpha / before.alpha
        pull = after.alpha * _integral(process, before.t, after.t) / before.sigma
        return Gaussian(back * now.x_t - pull * now.eps, back * forward_std(before, after))


def score_integral(process: Process, t: Tensor, s: Tensor) -> Tensor:
    """``A`` (): the integral of ``alpha d(sigma^2 / alpha^2)`` from ``s`` to ``t``, by quadrature in log SNR."""
    low, high = process.log_snr(t), process.log_snr(s)
    nodes, weights = (part.to(low) for part in _rule())
    places = low + (high - low) * nodes
    return (high - low) * (weights * process.alpha(process.time(places)) * torch.exp(-places)).sum()


@lru_cache(maxsize=8192)
def _integral(process: Process, t: float, s: float) -> float:
    return float(score_integral(process, *torch.tensor([t, s], dtype=torch.float64)))


@cache
def _rule() -> tuple[Tensor, Tensor]:
    """Nodes and weights of the Gauss-Legendre rule on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    return torch.from_numpy((nodes + 1) / 2), torch.from_numpy(weights / 2)
