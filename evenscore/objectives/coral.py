"""Contrastive latents: what the middle of the network makes of samples is pulled together inside a class, and classes apart.

CORAL, contrastive latent separation for long-tailed diffusion (NeurIPS 2025): with u the latents of the pass that denoises,
through one linear layer, at unit length, and ``t/T`` of the reference schedule as a function of log SNR,

    L = denoising + strength exp( (1 - t/T) / tau_r ) SupCon(u, y; temperature)

on rows that kept their label (:func:`evenscore.objectives.contrast.supervised`; the variant of the contrast is not
stated, this is the usual one). The released code averages the time weight over the batch and multiplies the batch's loss by
it (``average=batch``); ``average=row`` weighs each row by its own level. They are one where t is constant over the batch.

The linear layer is trained with the denoiser and belongs to no prediction: sampling leaves it out. Small classes have
positives only where a batch holds two of their samples: train with ``policy=pairs``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from evenscore.denoisers.base import Denoiser
from evenscore.objectives.base import Terms
from evenscore.objectives.contrast import supervised
from evenscore.objectives.layered import Layered, Seen
from evenscore.objectives.parts import add_part, latent_size, remove_part
from evenscore.objectives.time_weight import reference_time
from evenscore.objectives.weighting import WEIGHTINGS
from evenscore.records import check, check_name

PART = "coral"
"""Name of the linear layer among the parts of a denoiser."""
AVERAGES = ("row", "batch")


@dataclass(frozen=True)
class Coral(Layered):
    """Denoising loss plus a supervised contrast of the network's latents, strongest at low noise.

    Attributes:
        strength: w of the paper; 0 is plain denoising.
        tau_r: how fast the weight falls with noise: ``exp((1 - t/T) / tau_r)``, above 0.
        temperature: of the contrast, above 0.
        width: numbers to which latents are projected, at least 2.
        average: ``row`` (each row has the weight of its own level) or ``batch`` (all have the mean weight).
        weighting: weighting of the denoising term over noise levels.

    Raises:
        UsageError: an unknown name, or a number outside its range.
    """

    strength: float = 0.5
    tau_r: float = 0.3
    temperature: float = 0.1
    width: int = 128
    average: str = "row"
    weighting: str = "edm"
    source: ClassVar[str] = "CORAL, NeurIPS 2025; contrast of Khosla et al. 2020, eq. 2"
    neutral: ClassVar[Mapping[str, Any]] = {"strength": 0.0}
    couples_rows: ClassVar[bool] = True
    needs_latents: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_name("average", self.average, AVERAGES)
        check_name("weighting", self.weighting, WEIGHTINGS)
        check("strength", self.strength, self.strength >= 0, "at least 0")
        check("width", self.width, self.width >= 2, "at least 2")
        check("tau_r", self.tau_r, self.tau_r >= 0.02, "at least 0.02")
        check("temperature", self.temperature, self.temperature > 0, "above 0")

    def equip(self, denoiser: Denoiser) -> None:
        """Add the projection; its input has as many numbers as the denoiser has latents."""
        add_part(denoiser, PART, nn.Linear(latent_size(denoiser), self.width))

    def release(self, denoiser: Denoiser) -> None:
        """Take the projection away."""
        remove_part(denoiser, PART)

    def added(self, seen: Seen) -> Terms:
        if self.strength == 0 or seen.latents is None:
            return {}
        batch = seen.batch
        u = seen.denoiser.part(PART)(seen.latents)
        contrast = supervised(u, batch.y, batch.kept, self.temperature)
        weight = self.level_weights(seen.denoiser.process.log_snr(batch.t))["contrast"]
        if self.average == "batch":
            weight = (weight * batch.kept).sum() / batch.kept.sum().clamp_min(1)
        return {"contrast": self.strength * weight * contrast}

    def level_weights(self, log_snr: Tensor) -> dict[str, Tensor]:
        """``contrast``: ``exp((1 - t/T) / tau_r)``, on the contrast of a row."""
        return {"contrast": torch.exp((1 - reference_time(log_snr)) / self.tau_r)}
