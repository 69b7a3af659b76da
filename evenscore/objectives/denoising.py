"""Plain denoising: the weighted squared error between the predicted and the true clean sample.

Ho et al. 2020, "Denoising Diffusion Probabilistic Models", eq. 14, and its weightings (see
:mod:`evenscore.objectives.weighting`). The label law is whatever the loader draws: plain denoising with class-balanced
batches is the baseline that every method for long tails has to beat.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.labels import LabelDistribution
from evenscore.objectives.base import Noised, Objective, Terms, per_sample
from evenscore.objectives.weighting import WEIGHTINGS, x0_weight
from evenscore.prediction import Prediction
from evenscore.process import expand
from evenscore.records import check, check_name


@dataclass(frozen=True)
class Denoising(Objective):
    """Weighted denoising loss.

    Attributes:
        weighting: ``simple``, ``edm``, ``min-snr``, or ``likelihood`` (which needs the noise law ``uniform``).
        snr_cap: cap of the signal-to-noise ratio under ``min-snr``.

    Raises:
        UsageError: an unknown weighting, or a cap that is not above 0.
    """

    weighting: str = "edm"
    snr_cap: float = 5.0
    source: ClassVar[str] = "Ho et al. 2020, eq. 14; Karras et al. 2022, eq. 8; Hang et al. 2023, eq. 6"

    def __post_init__(self) -> None:
        check_name("weighting", self.weighting, WEIGHTINGS)
        check("snr_cap", self.snr_cap, self.snr_cap > 0, "above 0")

    def __call__(
        self, denoiser: Denoiser, batch: Noised, labels: LabelDistribution, generator: torch.Generator
    ) -> Terms:
        prediction = denoiser.predict(batch.x_t, batch.t, batch.y_in)
        return {"denoising": denoising_loss(denoiser, prediction, batch, self.weighting, self.snr_cap)}


def denoising_loss(
    denoiser: Denoiser, prediction: Prediction, batch: Noised, weighting: str, snr_cap: float = 5.0
) -> Tensor:
    """Weighted squared x0 error of each sample, (B,)."""
    log_snr = expand(denoiser.process.log_snr(batch.t), batch.x0)
    rate = expand(denoiser.process.log_snr_rate(batch.t), batch.x0)
    weight = x0_weight(weighting, log_snr, denoiser.data_std, snr_cap, rate)
    return per_sample(weight * (prediction.x0 - batch.x0).square())
