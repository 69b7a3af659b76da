"""Class-balancing diffusion: predictions under different labels are pulled together, most at high noise.

Qin et al. 2023, "Class-Balancing Diffusion Models" (CVPR), eq. 4 and algorithm 1. With h the noise predicted under the
true label y, h' under a label y' drawn from a target law, sg the stop-gradient, and a mean over the elements,

    L = |h - eps|^2 + tau u [ |h - sg(h')|^2 + gamma |sg(h) - h'|^2 ].

Two choices differ from the original and are stated here. The time weight t/T is a property of one discrete schedule, so
it is carried over as a function u of log SNR (the reference schedule has T = 1000 and beta from 1e-4 to 0.02); another
process then applies the same weight at the same noise level. Labels are dropped sample by sample, and a sample without
its label has no regulariser (originally one coin decides for the whole batch).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.labels import LabelDistribution
from evenscore.objectives.base import Noised, Objective, Terms, per_sample
from evenscore.objectives.denoising import denoising_loss
from evenscore.objectives.weighting import WEIGHTINGS
from evenscore.records import check, check_name

LAWS = {"from-scratch": "train", "fine-tune": "uniform", "train": "train", "uniform": "uniform", "sqrt": "sqrt"}
TIME_WEIGHTS = ("reference", "constant")


@dataclass(frozen=True)
class CBDM(Objective):
    """Denoising loss plus the class-balancing regulariser.

    Attributes:
        tau: strength; 1 is the published 1e-3 t with T = 1000. 0 is plain denoising.
        gamma: weight of the commitment term, which moves the prediction under the drawn label.
        law: law of the drawn label: ``from-scratch`` (as in the training set), ``fine-tune`` (uniform), or a law by name.
        time_weight: ``reference`` (t/T as a function of log SNR) or ``constant``.
        weighting: weighting of the denoising term over noise levels.

    Raises:
        UsageError: an unknown name, or a number outside its range.
    """

    tau: float = 1.0
    gamma: float = 0.25
    law: str = "from-scratch"
    time_weight: str = "reference"
    weighting: str = "edm"
    source: ClassVar[str] = "Qin et al. 2023, eq. 4"
    forwards: ClassVar[int] = 2

    def __post_init__(self) -> None:
        check_name("law", self.law, LAWS)
        check_name("time_weight", self.time_weight, TIME_WEIGHTS)
        check_name("weighting", self.weighting, WEIGHTINGS)
        for key in ("tau", "gamma"):
            check(key, getattr(self, key), getattr(self, key) >= 0, "at least 0")

    def __call__(
        self, denoiser: Denoiser, batch: Noised, labels: LabelDistribution, generator: torch.Generator
    ) -> Terms:
        prediction = denoiser.predict(batch.x_t, batch.t, batch.y_in)
        terms = {"denoising": denoising_loss(denoiser, prediction, batch, self.weighting)}
        if self.tau == 0:
            return terms
        other = labels.sample(len(batch.y), generator, LAWS[self.law]).to(batch.y.device)
        pulled = denoiser.predict(batch.x_t, batch.t, other)
        pull = per_sample((prediction.eps - pulled.eps.detach()).square())
        commitment = per_sample((prediction.eps.detach() - pulled.eps).square())
        weight = self.tau * self._time_weight(denoiser.process.log_snr(batch.t)) * batch.kept
        return {**terms, "pull": weight * pull, "commitment": self.gamma * weight * commitment}

    def _time_weight(self, log_snr: Tensor) -> Tensor:
        if self.time_weight == "reference":
            return reference_time(log_snr)
        return torch.ones_like(log_snr)


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
