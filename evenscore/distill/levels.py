r"""At which noise levels a sampler is compared with its teacher, and how much each level counts.

The law of a sampler lies on a thin set and so does that of images: at no noise their scores are far apart, and say little of
where the mass is missing. Both laws are therefore compared after the same noise was added, at log SNR ``l`` in the
coordinates ``x_t / alpha = x0 + exp(-l / 2) eps``, in which every process is the same. The updates hold for the noised sampler
as they do for any other, and noise does not change where they vanish: two laws are equal when their noised laws are. One level,
the smallest time, is the paper's own form; several are the integral of its divergence over noise levels (for KL that of Luo et
al. 2023, "Diff-Instruct"; any positive weight gives a divergence).

Weights. With D the clean predictions of the two scores and ``rho = exp(l)`` the signal-to-noise ratio, the scores are
``rho (D(x) - x)``, so the KL update moves a sample by ``rho (D_p - D_q)`` per unit of weight. The two predictions differ by as
much as the noise leaves open, for data of standard deviation d the posterior's ``c = d / sqrt(1 + d^2 rho)``. The weight

    w_KL(l) = 1 / (rho c) = sqrt(1 + d^2 rho) / (d rho)

makes every level move the sample alike, by ``(D_p - D_q) / c``. For Gaussian data of noised variance ``v = d^2 + 1 / rho`` the
Fisher update of a mean is the KL update divided by v (and that of a deviation, near the optimum, twice as much); so that they
agree,

    w_F(l) = w_KL(l) (d^2 + 1 / rho)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from evenscore.objectives.levels import NOISE_LAWS, NoiseLaw
from evenscore.process import Process


def _least(quantile: Tensor, process: Process, std: float) -> Tensor:
    """The smallest time of the process alone, the form in which the method was published."""
    return torch.full_like(quantile, process.t_min)


LEVELS: Mapping[str, NoiseLaw] = {**NOISE_LAWS, "least": _least}


def kl_weight(log_snr: Tensor, std: float) -> Tensor:
    """Weight (B,) of a KL update at each log SNR, for data of standard deviation ``std``."""
    rho = log_snr.exp()
    return (1 + std**2 * rho).sqrt() / (std * rho)


def fisher_weight(log_snr: Tensor, std: float) -> Tensor:
    """Weight (B,) of a Fisher update at each log SNR, for data of standard deviation ``std``."""
    return kl_weight(log_snr, std) * (std**2 + (-log_snr).exp())


WEIGHTS: Mapping[str, Callable[[Tensor, float], Tensor]] = {"kl": kl_weight, "fisher": fisher_weight}
