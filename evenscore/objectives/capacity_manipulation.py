"""Capacity manipulation: a part of the network is reserved, and small classes are made to use it.

"Capacity Manipulation" (ICLR 2026), known here at second hand. The weights are ``W_g + scale B A``
(:mod:`evenscore.networks.reserve`). With h the noise predicted with the reserve, h_g without it, n_y the class counts and

    w_con(y) = C n_y / sum_c n_c,        w_div(y) = C / ( n_y sum_c 1 / n_c ),        c_y = w_con w_con(y) - w_div w_div(y),

the paper's loss is ``denoising + strength c_y |h - h_g|^2``: for large classes c > 0 and the reserve is to add nothing, for
small ones c < 0 and it is to differ. Where c < 0 that has no lower bound; here the distance stops counting at ``margin``:

    strength c_y d                   where c_y >= 0,      d = |h - h_g|^2, a mean over the elements
    strength |c_y| max(0, margin - d)    where c_y < 0,

which has the published gradient below the margin and none above. Both predictions are moved, as the formula stands. The weight
is the same at every noise level. On equal counts c is 0 where ``w_con = w_div``, and 0.8 with the released recipe's 1 and 0.2.

Law: a trained network is merged (:meth:`CapacityManipulation.release`): sampling costs what it costs without a reserve.
The released recipe also moves targets: that is ``--objective oriented-calibration+capacity-manipulation``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.labels import LabelDistribution
from evenscore.networks.reserve import WHERE, Reserved
from evenscore.objectives.base import Terms, per_sample
from evenscore.objectives.layered import Layered, Seen
from evenscore.objectives.parts import preconditioned
from evenscore.objectives.weighting import WEIGHTINGS
from evenscore.records import check, check_name


@dataclass(frozen=True)
class CapacityManipulation(Layered):
    """Denoising loss of a network with reserved capacity, which large classes leave alone and small ones use.

    Attributes:
        strength: lambda of the paper; 0 is plain denoising of the network with its reserve.
        w_con: weight of consistency, which grows with the count.
        w_div: weight of diversity, which falls with it.
        margin: mean squared distance of noise predictions up to which diversity pushes.
        ratio: rank of the reserve as a share of the smaller side of each weight, above 0 to 1.
        scale: factor of the reserve in the weights; the released recipe has 0.5.
        where: ``up`` (the second half of the network, of an image network the convolutions of its up path) or ``all``.
        weighting: weighting of the denoising term over noise levels.

    Raises:
        UsageError: an unknown name, or a number outside its range.
    """

    strength: float = 1.0
    w_con: float = 1.0
    w_div: float = 1.0
    margin: float = 0.1
    ratio: float = 0.1
    scale: float = 1.0
    where: str = "up"
    weighting: str = "edm"
    source: ClassVar[str] = "Capacity Manipulation, ICLR 2026 (at second hand); margin derived here"
    forwards: ClassVar[float] = 2.0
    backwards: ClassVar[float] = 2.0
    neutral: ClassVar[Mapping[str, Any]] = {"strength": 0.0}
    needs_reserve: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_name("where", self.where, WHERE)
        check_name("weighting", self.weighting, WEIGHTINGS)
        check("ratio", self.ratio, 0 < self.ratio <= 1, "above 0 to 1")
        for key in ("strength", "w_con", "w_div", "margin", "scale"):
            check(key, getattr(self, key), getattr(self, key) >= 0, "at least 0")

    def equip(self, denoiser: Denoiser) -> None:
        """Reserve capacity in the backbone."""
        fresh = preconditioned(denoiser)
        fresh.backbone = Reserved(fresh.backbone, self.ratio, self.scale, self.where)

    def release(self, denoiser: Denoiser) -> None:
        """Merge the reserve into the backbone."""
        trained = preconditioned(denoiser)
        if isinstance(trained.backbone, Reserved):
            trained.backbone = trained.backbone.merged()

    def added(self, seen: Seen) -> Terms:
        if self.strength == 0:
            return {}
        batch = seen.batch
        general = seen.denoiser.predict_general(batch.x_t, batch.t, batch.y_in)
        gap = per_sample((seen.prediction.eps - general.eps).square())
        weight = self.strength * batch.kept * self.class_weights(seen.labels).to(gap)[batch.y]
        short = (self.margin - gap).clamp_min(0)
        return {"capacity": torch.where(weight >= 0, weight * gap, -weight * short)}

    def level_weights(self, log_snr: Tensor) -> dict[str, Tensor]:
        """``capacity``: 1 at every level, on the squared distance of noise predictions."""
        return {"capacity": torch.ones_like(log_snr)}

    def class_weights(self, labels: LabelDistribution) -> Tensor:
        """(K,) c of the module's law, float64; a class without samples counts as one with a single sample."""
        count = torch.tensor(labels.counts, dtype=torch.float64).clamp_min(1)
        consistency = len(count) * count / count.sum()
        diversity = len(count) / (count * (1 / count).sum())
        return self.w_con * consistency - self.w_div * diversity
