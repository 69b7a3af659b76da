"""Class-balancing diffusion: predictions under different labels are pulled together, most at high noise.

Qin et al. 2023, "Class-Balancing Diffusion Models" (CVPR), eq. 4 and algorithm 1. With h the noise predicted under the
true label y, h' under a label y' drawn from a target law, sg the stop-gradient, and a mean over the elements,

    L = |h - eps|^2 + tau u [ |h - sg(h')|^2 + gamma |sg(h) - h'|^2 ].

Two choices differ from the original and are stated here. The time weight t/T is a property of one discrete schedule, so
it is carried over as a function u of log SNR (the reference schedule has T = 1000 and beta from 1e-4 to 0.02); another
process then applies the same weight at the same noise level. Labels are dropped sample by sample, and a sample without
its label has no regulariser (originally one coin decides for the whole batch). ``start`` and ``rows`` are ours: see
:mod:`evenscore.objectives.coupling`, which computes the pull. ``power`` draws y' from a law that is boosted for small
classes, an idea of PD-CBDM (Mathematics 14(10), 1576, 2026), whose formula was not available: the law is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from evenscore.objectives.coupling import BOOSTED, Coupled, Coupling
from evenscore.objectives.weighting import WEIGHTINGS
from evenscore.records import check, check_name

LAWS = {"from-scratch": "train", "fine-tune": "uniform", "train": "train", "uniform": "uniform", "sqrt": "sqrt"}


@dataclass(frozen=True)
class CBDM(Coupled):
    """Denoising loss plus the class-balancing regulariser.

    Attributes:
        tau: strength; 1 is the published 1e-3 t with T = 1000. 0 is plain denoising.
        gamma: weight of the commitment term, which moves the prediction under the drawn label.
        law: law of the drawn label: ``from-scratch`` (as in the training set), ``fine-tune`` (uniform), or a law by name.
        time_weight: ``reference`` (t/T as a function of log SNR), ``constant``, ``vanishing`` or ``paper``.
        weighting: weighting of the denoising term over noise levels.
        start: share of the budget after which the regulariser begins, growing over a tenth of the budget; 0 is at once.
        rows: share of the batch's rows on which the regulariser is evaluated, drawn by weight; 1 is all of them.
        power: boost of small classes under the law as in the training set: the label is drawn in proportion to
            ``n_y^(1 - power)``; 0 is the law itself, 1 uniform, above 1 small classes are likelier than large ones.

    Raises:
        UsageError: an unknown name, or a number outside its range.
    """

    tau: float = 1.0
    gamma: float = 0.25
    law: str = "from-scratch"
    time_weight: str = "reference"
    weighting: str = "edm"
    start: float = 0.0
    rows: float = 1.0
    power: float = 0.0
    source: ClassVar[str] = "Qin et al. 2023, eq. 4"
    forwards: ClassVar[float] = 2.0
    backwards: ClassVar[float] = 2.0
    neutral: ClassVar[Mapping[str, Any]] = {"tau": 0.0}

    def __post_init__(self) -> None:
        check_name("law", self.law, LAWS)
        check_name("weighting", self.weighting, WEIGHTINGS)
        check("tau", self.tau, self.tau >= 0, "at least 0")
        boosts = 0 <= self.power <= 10 and (self.power == 0 or LAWS[self.law] == "train")
        check("power", self.power, boosts, "from 0 to 10, and 0 unless law=from-scratch")
        self.pull()

    def pull(self) -> Coupling:
        """The regulariser."""
        law = LAWS[self.law] if self.power == 0 else f"{BOOSTED}{self.power}"
        return Coupling(law, self.tau, "constant", self.time_weight, self.gamma, self.start, self.rows)
