"""Conditional-unconditional alignment with a repulsion of latents.

CCUA, "contrastive conditional-unconditional alignment" (arXiv 2507.09052). With h the noise predicted under the row's
label, h0 without a label, z the latents of the pass without a label, sg the stop-gradient and ``t/T`` of the reference
schedule as a function of log SNR,

    L = denoising + gamma (t/T) |h - sg(h0)|^2 + alpha repulsion(z)

with :func:`evenscore.objectives.contrast.repulsion`. The alignment is the coupling of law ``null`` (its weight is computed
there) and stands on rows that kept their label; the repulsion on all rows.

Three things were not available and are derived. The side that is stopped: the prediction without a label, which all samples
train, so that what is badly known moves to what is known well and not the other way round. The temperature: 1/4, the
``t = 2`` of Wang & Isola 2020. The latents: of the middle of the network, at unit length, without a projection.

Both terms share one pass without labels. No class is named by the repulsion: it spreads samples of one class as much as
those of different ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from evenscore.objectives.base import Terms, per_sample
from evenscore.objectives.contrast import repulsion
from evenscore.objectives.coupling import Coupling
from evenscore.objectives.layered import Direction, Layered, Seen
from evenscore.objectives.time_weight import TIME_WEIGHTS
from evenscore.objectives.weighting import WEIGHTINGS
from evenscore.records import check, check_name


@dataclass(frozen=True)
class CCUA(Layered):
    """Denoising loss plus a pull to the prediction without a label at high noise, and a repulsion of that pass's latents.

    Attributes:
        gamma: weight of the alignment; the published image setting is 1, for transformers 0.05.
        alpha: weight of the repulsion, likewise. Both 0 is plain denoising.
        temperature: of the repulsion, above 0.
        time_weight: weight of the alignment over noise levels: ``reference``, ``vanishing``, ``constant``, ``falling``
            or ``paper``.
        weighting: weighting of the denoising term over noise levels.

    Raises:
        UsageError: an unknown name, or a number outside its range.
    """

    gamma: float = 1.0
    alpha: float = 1.0
    temperature: float = 0.25
    time_weight: str = "reference"
    weighting: str = "edm"
    source: ClassVar[str] = "CCUA, arXiv 2507.09052; stopped side and temperature derived here"
    forwards: ClassVar[float] = 2.0
    backwards: ClassVar[float] = 2.0
    neutral: ClassVar[Mapping[str, Any]] = {"gamma": 0.0, "alpha": 0.0}
    couples_rows: ClassVar[bool] = True
    needs_null: ClassVar[bool] = True
    needs_latents: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_name("time_weight", self.time_weight, TIME_WEIGHTS)
        check_name("weighting", self.weighting, WEIGHTINGS)
        check("temperature", self.temperature, self.temperature > 0, "above 0")
        for key in ("gamma", "alpha"):
            check(key, getattr(self, key), getattr(self, key) >= 0, "at least 0")

    def added(self, seen: Seen) -> Terms:
        if self.gamma == self.alpha == 0:
            return {}
        batch, terms = seen.batch, {}
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.alpha > 0):
            none = seen.denoiser.null_like(batch.y)
            unconditional, latents = seen.denoiser.observe(batch.x_t, batch.t, none)
        if self.gamma > 0:
            weight = Coupling("null", self.gamma, "constant", self.time_weight).weights(
                seen.denoiser, batch, seen.labels
            )
            terms["alignment"] = weight * per_sample((seen.prediction.eps - unconditional.eps.detach()).square())
        if self.alpha > 0:
            everyone = torch.ones_like(batch.y, dtype=torch.bool)
            terms["repulsion"] = self.alpha * repulsion(latents, everyone, self.temperature)
        return terms

    def level_weights(self, log_snr: Tensor) -> dict[str, Tensor]:
        """``alignment``: ``t/T``, on the squared distance of noise predictions; ``repulsion``: 1 at every level."""
        return {"alignment": TIME_WEIGHTS[self.time_weight](log_snr), "repulsion": torch.ones_like(log_snr)}

    def directions(self) -> Mapping[str, Direction]:
        return {"alignment": "pull"} if self.gamma > 0 else {}
