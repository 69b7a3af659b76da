"""Re-weighting: the denoising loss of each sample times a weight of its class.

* ``inverse``: proportional to 1 / n_y;
* ``effective``: proportional to (1 - beta) / (1 - beta^n_y), the effective number of samples (Cui et al. 2019,
  "Class-Balanced Loss Based on Effective Number of Samples", eq. 2).

Law: weights average to 1 over the training samples, so the scale of the loss, and with it the best learning rate, is
that of plain denoising. ``strength`` 0 is plain denoising, 1 the full weights (as powers in between).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from evenscore.labels import LabelDistribution
from evenscore.objectives.base import Noised
from evenscore.objectives.layered import Layered
from evenscore.objectives.weighting import WEIGHTINGS
from evenscore.records import check, check_name

SCHEMES = ("inverse", "effective")


@dataclass(frozen=True)
class Reweighting(Layered):
    """Denoising loss weighted by class.

    Attributes:
        scheme: ``inverse`` or ``effective``.
        strength: exponent of the weights, 0 (none) to 1 (full).
        effective_beta: beta of the effective number, below 1.
        weighting: weighting over noise levels, see :class:`~evenscore.objectives.denoising.Denoising`.

    Raises:
        UsageError: an unknown name, or a number outside its range.
    """

    scheme: str = "effective"
    strength: float = 1.0
    effective_beta: float = 0.999
    weighting: str = "edm"
    source: ClassVar[str] = "Cui et al. 2019, eq. 2"
    neutral: ClassVar[Mapping[str, Any]] = {"strength": 0.0}

    def __post_init__(self) -> None:
        check_name("scheme", self.scheme, SCHEMES)
        check_name("weighting", self.weighting, WEIGHTINGS)
        check("strength", self.strength, 0 <= self.strength <= 1, "between 0 and 1")
        check("effective_beta", self.effective_beta, 0 <= self.effective_beta < 1, "from 0 to below 1")

    def row_weights(self, batch: Noised, labels: LabelDistribution) -> Tensor:
        return self.class_weights(labels).to(batch.y.device)[batch.y]

    def class_weights(self, labels: LabelDistribution) -> Tensor:
        """(K,) weights, float64, of mean 1 over the training samples."""
        count = torch.tensor(labels.counts, dtype=torch.float64).clamp_min(1)
        beta = self.effective_beta
        weight = 1 / count if self.scheme == "inverse" else (1 - beta) / (1 - beta**count)
        weight = weight**self.strength
        return weight / (weight * labels.probabilities()).sum()
