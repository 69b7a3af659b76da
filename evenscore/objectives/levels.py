"""At which noise levels training looks: the law of the times of a batch.

* ``lognormal``: ``log(sigma / (alpha d))`` is normal, for data of standard deviation ``d`` (Karras et al. 2022, table 1,
  which has alpha = 1, d = 0.5, mean -1.2 and standard deviation 1.2; relative to ``d`` its mean is -0.5, and here its
  standard deviation is 1.3);
* ``uniform``: time is uniform on the range of the process (Song et al. 2021).

Both are stratified over the batch: row i draws its quantile from the i-th of B equal parts, in random order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from evenscore.errors import unknown
from evenscore.process import Process

MEAN, DEVIATION = -0.5, 1.3
"""Of the lognormal law, in log noise-to-signal ratio."""


class NoiseLaw(Protocol):
    """Quantiles in (0, 1) -> times."""

    def __call__(self, quantile: Tensor, process: Process, std: float) -> Tensor: ...


def _lognormal(quantile: Tensor, process: Process, std: float) -> Tensor:
    """Log noise-to-signal ratio, in units of the data's spread, is normal."""
    log_ratio = MEAN + DEVIATION * torch.special.ndtri(quantile) + math.log(std)
    return process.time(-2 * log_ratio).clamp(process.t_min, process.t_max)


def _uniform(quantile: Tensor, process: Process, std: float) -> Tensor:
    """Time is uniform on the range of the process."""
    return process.t_min + (process.t_max - process.t_min) * quantile


NOISE_LAWS: Mapping[str, NoiseLaw] = {"lognormal": _lognormal, "uniform": _uniform}


def draw_times(law: str, n: int, process: Process, std: float, generator: torch.Generator) -> Tensor:
    """(n,) times of a batch.

    Raises:
        UsageError: an unknown law.
    """
    if law not in NOISE_LAWS:
        raise unknown("noise law", law, NOISE_LAWS)
    strata = torch.randperm(n, generator=generator).double()
    quantile = ((strata + torch.rand(n, generator=generator, dtype=torch.float64)) / n).clamp(1e-6, 1 - 1e-6)
    return NOISE_LAWS[law](quantile, process, std).float()
