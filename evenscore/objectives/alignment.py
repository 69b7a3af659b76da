"""Count alignment: the fewer samples a class has, the more its prediction is tied to the prediction without a label.

The counterpart, for a deep conditional network, of a ridge that grows as ``1 / n_y`` on each class of a linear model.
What a class says beyond the prediction without a label is its own part, and that part is what few samples determine
badly. With h the noise predicted under the label y, h0 without it, sg the stop-gradient and a mean over the elements,

    L = |h - eps|^2 + (kappa / n_y) u(log SNR) |h - sg(h0)|^2.

With weighting ``simple``, let h* minimise the first term at a noisy input. Over h alone the sum is least at
``(n_y h* + kappa u h0) / (n_y + kappa u)``: partial pooling, in which the rest counts as ``kappa u`` samples.

The second means acts through the data: with ``dropout_k0`` above 0 the label of a sample of class y is dropped with
probability ``1 - (1 - p) n_y / (n_y + k0)``, p being the run's ``label_dropout``, so a small class trains the
prediction without a label more, and its own less. Training asks the objective for these rates
(:meth:`CountAlignment.label_dropout`). Derived, not from a paper.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from evenscore.labels import LabelDistribution
from evenscore.objectives.coupling import Coupled, Coupling
from evenscore.objectives.weighting import WEIGHTINGS
from evenscore.records import check, check_name


@dataclass(frozen=True)
class CountAlignment(Coupled):
    """Denoising loss plus a pull of each class to the prediction without a label that grows as one over its count.

    Attributes:
        kappa: samples that the prediction without a label counts for. 0, with ``dropout_k0`` 0, is plain denoising.
        time_weight: weight over noise levels: ``vanishing``, ``reference``, ``constant`` or ``paper``.
        dropout_k0: k0 of the dropping of labels by count; 0 drops every class's labels alike.
        start: share of the budget after which the pull begins, growing over a tenth of the budget; 0 is at once.
        rows: share of the batch's rows on which the pull is evaluated, drawn by weight; 1 is all of them.
        weighting: weighting of the denoising term over noise levels.

    Raises:
        UsageError: an unknown name, or a number outside its range.
    """

    kappa: float = 1.0
    time_weight: str = "vanishing"
    dropout_k0: float = 0.0
    start: float = 0.0
    rows: float = 0.25
    weighting: str = "edm"
    source: ClassVar[str] = "derived here: partial pooling towards the unconditional prediction"
    forwards: ClassVar[float] = 1.25
    neutral: ClassVar[Mapping[str, Any]] = {"kappa": 0.0}
    needs_null: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_name("weighting", self.weighting, WEIGHTINGS)
        for key in ("kappa", "dropout_k0"):
            check(key, getattr(self, key), getattr(self, key) >= 0, "at least 0")
        self.pull()

    def pull(self) -> Coupling:
        """The pull to the prediction without a label."""
        return Coupling("null", self.kappa, "by-count", self.time_weight, 0.0, self.start, self.rows)

    def label_dropout(self, rate: float, labels: LabelDistribution) -> float | Tensor:
        """``1 - (1 - rate) n_y / (n_y + k0)`` for each class (K,), or ``rate`` itself where k0 is 0."""
        if self.dropout_k0 == 0:
            return rate
        counts = torch.tensor(labels.counts, dtype=torch.float64)
        return 1 - (1 - rate) * counts / (counts + self.dropout_k0)
