"""Denoising errors as bounds of log-likelihoods, with the same noise for all classes and rows.

    log p(x | k) >= constant - 1/2 integral over log SNR of E |eps - eps_k(x_t)|^2        (Kingma et al. 2021, eq. 12)

Law: the noise is a function of the seed and of the number of the draw, so a row's bounds do not depend on the rows
beside it, and the differences between classes are paired.
"""

from __future__ import annotations

import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.random import generator

PART = 4096


@torch.no_grad()
def denoising_bounds(denoiser: Denoiser, x: Tensor, draws: int, seed: int) -> Tensor:
    """Bounds (n, K), float64, in nats, up to a constant.

    Args:
        denoiser: of K classes.
        x: (n, D) clean vectors, float64.
        draws: levels of log SNR, one noise at each.
        seed: of the noise.
    """
    process = denoiser.process
    ends = process.log_snr(torch.tensor([process.t_min, process.t_max], dtype=torch.float64))
    random = generator(seed, "bounds")
    place = (torch.arange(draws) + torch.rand(draws, generator=random, dtype=torch.float64)) / draws
    times = process.time(ends[0] + place * (ends[1] - ends[0])).clamp(process.t_min, process.t_max)
    noise = torch.randn(draws, *denoiser.shape, generator=random, dtype=torch.float64)
    span = float(ends[0] - ends[1])
    return torch.cat([_bounds(denoiser, part, times, noise) for part in torch.split(x, PART)]) * span / draws


def _bounds(denoiser: Denoiser, x: Tensor, times: Tensor, noise: Tensor) -> Tensor:
    """Minus half the squared errors (n, K), summed over the draws."""
    total = torch.zeros(len(x), denoiser.num_classes, dtype=torch.float64)
    for time, eps in zip(times, noise, strict=True):
        t = time.expand(len(x))
        x_t = denoiser.process.perturb(x, t, eps.expand(x.shape))
        for k in range(denoiser.num_classes):
            found = denoiser.predict(x_t, t, torch.full((len(x),), k)).eps
            total[:, k] -= 0.5 * (found - eps).square().sum(1)
    return total
