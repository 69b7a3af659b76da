"""At which noise levels training looks: the law of the times of a batch.

* ``lognormal``: ``log(sigma / (alpha d))`` is normal, for data of standard deviation ``d`` (Karras et al. 2022, table 1,
  which has alpha = 1, d = 0.5, mean -1.2 and standard deviation 1.2; relative to ``d`` its mean is -0.5, and here its
  standard deviation is 1.3);
* ``uniform``: time is uniform on the range of the process (Song et al. 2021);
* ``log-snr``: log SNR is uniform on the range of the process. Its density in time is in proportion to ``g^2 / sigma^2``, so
  with weighting ``simple`` it is likelihood weighting with importance-sampled times (Song, Durkan, Murray & Ermon
  2021): the expectation of weighting ``likelihood`` on uniform times up to a constant, without its large weights;
* ``ncsn``: one of ten noise levels ``sigma / alpha`` in geometric progression over the range of the process, all equally
  likely (Song & Ermon 2019, section 4.2). On VE these are ``sigma_max`` to ``sigma_min``, the levels on which
  :func:`evenscore.solvers.grids.ladder` then samples. Weighting ``simple`` on VE is the paper's weight ``sigma^2`` on the
  squared error of the score. Another number of levels is ``DiscreteLevels(levels=L)``.

All are stratified over the batch: row i draws its quantile from the i-th of B equal parts, in random order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from evenscore.errors import unknown
from evenscore.process import Process
from evenscore.records import check

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


def _log_snr(quantile: Tensor, process: Process, std: float) -> Tensor:
    """Log SNR is uniform on the range of the process; with weighting ``simple`` this bounds the likelihood."""
    high, low = _ends(process, quantile)
    return process.time(high + quantile * (low - high)).clamp(process.t_min, process.t_max)


def _ends(process: Process, like: Tensor) -> Tensor:
    """Log SNR at the smallest and the largest time, (2,)."""
    return process.log_snr(torch.tensor([process.t_min, process.t_max], dtype=like.dtype))


@dataclass(frozen=True)
class DiscreteLevels:
    """One of a few noise levels in geometric progression over the range of the process, all equally likely.

    Attributes:
        levels: L, how many; 10 is the number of Song & Ermon 2019.

    Raises:
        UsageError: fewer than two levels.
    """

    levels: int = 10

    def __post_init__(self) -> None:
        check("levels", self.levels, self.levels >= 2, "at least 2")

    def __call__(self, quantile: Tensor, process: Process, std: float) -> Tensor:
        """Times (n,) of the level into whose share of (0, 1) each quantile falls, in the order of rising noise."""
        number = (quantile * self.levels).floor().clamp(0, self.levels - 1)
        high, low = _ends(process, quantile)
        return process.time(high + number / (self.levels - 1) * (low - high)).clamp(process.t_min, process.t_max)


NOISE_LAWS: Mapping[str, NoiseLaw] = {
    "lognormal": _lognormal,
    "uniform": _uniform,
    "log-snr": _log_snr,
    "ncsn": DiscreteLevels(),
}


def draw_times(law: str | NoiseLaw, n: int, process: Process, std: float, generator: torch.Generator) -> Tensor:
    """(n,) times of a batch.

    Args:
        law: a name in ``NOISE_LAWS``, or a law itself.
        n: size of the batch.
        process: the noise process.
        std: standard deviation of the data, the unit of the law ``lognormal``.
        generator: source of the quantiles.

    Raises:
        UsageError: an unknown law.
    """
    if isinstance(law, str) and law not in NOISE_LAWS:
        raise unknown("noise law", law, NOISE_LAWS)
    chosen = NOISE_LAWS[law] if isinstance(law, str) else law
    strata = torch.randperm(n, generator=generator).double()
    quantile = ((strata + torch.rand(n, generator=generator, dtype=torch.float64)) / n).clamp(1e-6, 1 - 1e-6)
    return chosen(quantile, process, std).float()
