"""Noise by class frequency: rows of small classes are noised more.

The idea is that of CFRG (arXiv 2606.27696), whose schedule was not available; the rule is derived here. With the noise
level ``sigma / alpha`` drawn by the run's noise law,

    log(sigma / alpha)  <-  log(sigma / alpha) + shift log(n_max / n_y),

kept inside the range of the process: the largest class is noised as ever, and a class with a hundredth of its samples by a
factor of ``100^shift`` more. Why a power of the count: n samples in d dimensions cover a class down to a bandwidth in
proportion to ``n^(-1 / (d + 4))`` (the rule of kernel density estimation), and below it a network can only repeat them. So
``shift = 1 / (d + 4)`` spends the rows of a small class where its samples say something; 0.1 is d = 6.

The loss is not re-weighted: it is another law of the noise levels, not another estimate of the same loss.
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
from evenscore.process import Process
from evenscore.records import check, check_name


@dataclass(frozen=True)
class ClassNoise(Layered):
    """Denoising loss at noise levels that are higher for smaller classes.

    Attributes:
        shift: power of ``n_max / n_y`` by which the noise level of a row is multiplied; 0 is plain denoising.
        weighting: weighting of the denoising term over noise levels.

    Raises:
        UsageError: an unknown weighting, or a shift outside 0 to 1.
    """

    shift: float = 0.1
    weighting: str = "edm"
    source: ClassVar[str] = "after CFRG (arXiv 2606.27696); the rule is derived here"
    neutral: ClassVar[Mapping[str, Any]] = {"shift": 0.0}

    def __post_init__(self) -> None:
        check_name("weighting", self.weighting, WEIGHTINGS)
        check("shift", self.shift, 0 <= self.shift <= 1, "between 0 and 1")

    def times(self, process: Process, batch: Noised, labels: LabelDistribution) -> Tensor:
        if self.shift == 0:
            return batch.t
        factor = torch.tensor(labels.counts, dtype=torch.float64).clamp_min(1).log()
        rise = (self.shift * (factor.max() - factor)).to(batch.t.device)[batch.y]
        moved = process.time(process.log_snr(batch.t.double()) - 2 * rise).clamp(process.t_min, process.t_max)
        return torch.where(rise > 0, moved.to(batch.t), batch.t)
