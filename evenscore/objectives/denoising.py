"""Plain denoising: the weighted squared error between the predicted and the true clean sample.

Ho et al. 2020, "Denoising Diffusion Probabilistic Models", eq. 14, and its weightings (see
:mod:`evenscore.objectives.weighting`). The label law is whatever the loader draws: plain denoising with class-balanced
batches is the baseline that every method for long tails has to beat.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.objectives.base import Noised
from evenscore.objectives.layered import Layered, denoising_loss
from evenscore.objectives.weighting import WEIGHTINGS
from evenscore.prediction import Prediction
from evenscore.records import check, check_name

__all__ = ["Denoising", "denoising_loss"]


@dataclass(frozen=True)
class Denoising(Layered):
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

    def denoise(self, denoiser: Denoiser, prediction: Prediction, batch: Noised) -> Tensor:
        return denoising_loss(denoiser, prediction, batch, self.weighting, self.snr_cap)
