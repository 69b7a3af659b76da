"""Worst-class re-weighting: the classes that are denoised worst count most.

Sagawa, Koh, Hashimoto & Liang 2020, "Distributionally Robust Neural Networks for Group Shifts", algorithm 1, with
classes as groups: the largest class loss is minimised by letting an adversary hold weights q on the classes,

    q_k <- q_k exp(step loss_k), normalised;    the loss of a row of class y is  K q_y loss,

where ``loss_k`` is the mean denoising loss of the rows of class k in the batch, without weights, plus the count
adjustment ``adjustment / sqrt(n_k)`` (its eq. 5). With classes drawn alike the mean loss is ``sum_k q_k loss_k``, the
scale of plain denoising: train with ``policy=uniform``, as the algorithm does. Where a batch lacks a class, that class
is taken to have the mean loss of those that are there; a batch with all of them updates exactly as written. The weights
start equal and never fall below 1e-6.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from evenscore.labels import LabelDistribution
from evenscore.objectives.base import Noised, Terms
from evenscore.objectives.layered import Layered
from evenscore.objectives.weighting import WEIGHTINGS
from evenscore.records import check, check_name

KEY = "log_weights"
LEAST = math.log(1e-6)


@dataclass(frozen=True)
class WorstClass(Layered):
    """Denoising loss weighted by class, the weights rising where the loss is high.

    Attributes:
        step: step size of the weights, per training step; 0 is plain denoising.
        adjustment: C of the count adjustment ``C / sqrt(n_k)``, which gives small classes more weight.
        weighting: weighting over noise levels, see :class:`~evenscore.objectives.denoising.Denoising`.

    Raises:
        UsageError: an unknown name, or a number outside its range.
    """

    step: float = 0.01
    adjustment: float = 0.0
    weighting: str = "edm"
    source: ClassVar[str] = "Sagawa et al. 2020, algorithm 1"
    neutral: ClassVar[Mapping[str, Any]] = {"step": 0.0}

    def __post_init__(self) -> None:
        check_name("weighting", self.weighting, WEIGHTINGS)
        for key in ("step", "adjustment"):
            check(key, getattr(self, key), getattr(self, key) >= 0, "at least 0")

    def row_weights(self, batch: Noised, labels: LabelDistribution) -> Tensor:
        return self._row_weights(batch.memory, batch, labels)

    def remember(self, labels: LabelDistribution) -> Mapping[str, Tensor]:
        """``log_weights``: log of ``K q_k``, (K,), float64, 0 at the start."""
        return {KEY: torch.zeros(labels.num_classes, dtype=torch.float64)}

    def learn(
        self, memory: Mapping[str, Tensor], batch: Noised, terms: Terms, labels: LabelDistribution
    ) -> Mapping[str, Tensor]:
        """The weights after a batch: one step of exponentiated gradient ascent on the class losses."""
        loss = terms["denoising"].detach().double() / self._row_weights(memory, batch, labels).double()
        zeros = torch.zeros(labels.num_classes, dtype=torch.float64, device=loss.device)
        count = zeros.index_add(0, batch.y, torch.ones_like(loss))
        adjusted = zeros.index_add(0, batch.y, loss) / count.clamp_min(1)
        adjusted = adjusted + self.adjustment / torch.tensor(labels.counts).clamp_min(1).to(adjusted).sqrt()
        present = count > 0
        centred = torch.where(present, adjusted - adjusted[present].mean(), 0.0)
        log_weight = self._log_weights(memory, labels).to(centred) + self.step * centred
        log_weight = log_weight - torch.logsumexp(log_weight, 0) + math.log(labels.num_classes)
        return {KEY: log_weight.clamp_min(LEAST) if self.step else zeros}

    def _row_weights(self, memory: Mapping[str, Tensor], batch: Noised, labels: LabelDistribution) -> Tensor:
        return self._log_weights(memory, labels).exp().to(batch.y.device)[batch.y]

    def _log_weights(self, memory: Mapping[str, Tensor], labels: LabelDistribution) -> Tensor:
        return memory.get(KEY, self.remember(labels)[KEY])
