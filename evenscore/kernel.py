"""The Gaussian kernels between two times ``s < t`` of a process, with which solvers step and restorations weigh.

Laws, with ``r = 1 - SNR_t / SNR_s`` (derived from ``x_t = alpha x0 + sigma eps`` of a linear SDE):

    forward:  x_t | x_s      ~ N( (alpha_t / alpha_s) x_s,  sigma_t^2 r )
    reverse:  x_s | x_t, x0  ~ N( alpha_s x0 + sigma_s sqrt(1 - r) eps,  sigma_s^2 r ),   eps = (x_t - alpha_t x0) / sigma_t

The second is Bayes' rule for the first (Ho et al. 2020, "Denoising Diffusion Probabilistic Models", eq. 6). With a share
``eta`` of its noise it is one of the kernels that keep the law of ``x_s`` given x0 (Song, Meng & Ermon 2021, "Denoising
Diffusion Implicit Models", eq. 12 and 16): standard deviation ``eta sigma_s sqrt(r)``, and ``sqrt(1 - eta^2 r)`` before eps.

Coefficients are plain numbers in double precision, remembered for each time, since every batch visits the same times.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from evenscore.prediction import Prediction
from evenscore.process import Process


class Level(NamedTuple):
    """A time and the coefficients of a process there."""

    t: float
    alpha: float
    sigma: float
    log_snr: float
    drift: float
    diffusion: float


class Gaussian(NamedTuple):
    """A Gaussian kernel: (B, *shape) means and one standard deviation."""

    mean: Tensor
    std: float

    def draw(self, z: Tensor) -> Tensor:
        """A value from standard normal ``z``."""
        return self.mean + self.std * z


def level(process: Process, t: Tensor) -> Level:
    """The coefficients of ``process`` at the time ``t`` ()."""
    return _level(process, float(t))


def fresh_share(before: Level, after: Level) -> float:
    """``r = 1 - SNR_t / SNR_s`` for the level ``before`` at t and ``after`` at s, exact for small steps."""
    return -math.expm1(before.log_snr - after.log_snr)


def forward_std(before: Level, after: Level) -> float:
    """Standard deviation of the forward kernel from ``after`` up to ``before``: the noise that a step down takes away."""
    return before.sigma * math.sqrt(fresh_share(before, after))


def forward_kernel(x: Tensor, before: Level, after: Level) -> Gaussian:
    """The law of the samples at ``before`` given those at ``after``, which are ``x`` (B, *shape)."""
    return Gaussian(before.alpha / after.alpha * x, forward_std(before, after))


def reverse_kernel(prediction: Prediction, before: Level, after: Level, eta: float = 1.0) -> Gaussian:
    """The law of the samples at ``after``, with the prediction at ``before`` for the clean sample.

    Args:
        prediction: for the samples at ``before``.
        before: the level now.
        after: the level to reach, of less noise.
        eta: share of the fresh noise, in [0, 1]; at 1 this is Bayes' rule, at 0 a point.
    """
    kept = after.sigma * math.sqrt(1 - eta**2 + eta**2 * math.exp(before.log_snr - after.log_snr))
    fresh = eta * after.sigma * math.sqrt(fresh_share(before, after))
    return Gaussian(after.alpha * prediction.x0 + kept * prediction.eps, fresh)


@lru_cache(maxsize=8192)
def _level(process: Process, t: float) -> Level:
    time = torch.tensor(t, dtype=torch.float64)
    functions = (process.alpha, process.sigma, process.log_snr, process.drift, process.diffusion)
    return Level(t, *(float(function(time)) for function in functions))
