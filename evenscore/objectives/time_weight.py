"""How strongly a coupling between predictions acts at each noise level: functions of log SNR on squared noise errors.

A paper states such a weight in the time of its own schedule; written in log SNR ``l`` it is the same at the same noise
level of any process. On the Ornstein-Uhlenbeck process of Das et al. 2025 (``alpha = e^-s``, ``sigma^2 = 1 - e^-2s``) one has
``e^-l = e^2s - 1``, hence ``e^s = sqrt(1 + e^-l)`` and ``1 / sigma^2 = 1 + e^l``. With scores ``-eps / sigma`` its coupling
``omega |s - s'|^2`` is ``omega / sigma^2`` on noise predictions.

* ``reference``: ``t / T`` of the schedule with T = 1000 and beta from 1e-4 to 0.02 (Qin et al. 2023), from 0 to 1;
* ``paper``: ``e^s / sigma^2``, the choice ``omega = e^t`` of Das et al. for mixtures: it is strong at low noise too;
* ``vanishing``: ``e^s - 1``, which is ``omega = sigma^2 (e^s - 1)``: rising from 0 at no noise;
* ``constant``: 1;
* ``falling``: ``1 - t / T`` of the reference schedule: it acts at low noise, where ``reference`` does not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import softplus


def reference_time(log_snr: Tensor) -> Tensor:
    """``t/T`` of the reference schedule at a log SNR, in [0, 1]: linear between its 1000 steps, 0 at no noise."""
    levels = _reference_levels().to(log_snr)
    position = torch.searchsorted(levels, (-log_snr).contiguous()).clamp(1, len(levels) - 1)
    low, high = levels[position - 1], levels[position]
    share = ((-log_snr - low) / (high - low)).clamp(0, 1)
    first = torch.sigmoid(-log_snr) / torch.sigmoid(levels[0])
    inside = (position.to(log_snr) + share) / len(levels)
    return torch.where(-log_snr < levels[0], first / len(levels), inside)


@cache
def _reference_levels() -> Tensor:
    """Negative log SNR after step 1 .. 1000 of the reference schedule, rising, float64."""
    beta = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    log_alpha_bar = torch.log1p(-beta).cumsum(0)
    return torch.log(-torch.expm1(log_alpha_bar)) - log_alpha_bar


def _paper(log_snr: Tensor) -> Tensor:
    """``e^s / sigma^2`` of the Ornstein-Uhlenbeck process at the same log SNR."""
    return torch.exp(softplus(-log_snr) / 2 + softplus(log_snr))


def _vanishing(log_snr: Tensor) -> Tensor:
    """``e^s - 1`` of the Ornstein-Uhlenbeck process at the same log SNR."""
    return torch.expm1(softplus(-log_snr) / 2)


TIME_WEIGHTS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "reference": reference_time,
    "paper": _paper,
    "vanishing": _vanishing,
    "constant": torch.ones_like,
    "falling": lambda log_snr: 1 - reference_time(log_snr),
}
