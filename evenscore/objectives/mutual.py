"""Mutual learning: every class is a player that fits its own score and is pulled towards the predictions of the others.

Das, Fu, Hashemi & Gupta 2025, "Principled Long-Tailed Generative Modeling via Diffusion Models", L_reg = L + beta
L_mut. With h the noise predicted under the row's own label y, h' under another label y' ~ Q, sg the stop-gradient, a
mean over the elements,

    L = |h - eps|^2 + strength u(log SNR) sum_y' Q(y' | y) [ |h - sg(h')|^2 + gamma |sg(h) - h'|^2 ]

on rows of class y, with the first term weighted as ``weighting`` says. The stop-gradient makes it the loss of player y:
with gamma = 0 a row moves what is predicted under its own label only.

Conventions, which the paper and its released code do not share:

* Q counts each of the K labels ``1 / K`` and a player does not pull itself, as in the paper. The released code averages
  over the K - 1 others: its beta is ``strength = beta K / (K - 1)`` here.
* The paper's discretised empirical loss has 1/2 before both terms: its beta is ``strength`` here. Its population loss
  has 1/2 before the data term only: that beta is ``strength / 2``.
* The paper's mixtures use ``time_weight=paper`` (strong at low noise too), its released image code
  ``time_weight=reference``. The default here vanishes at low noise, which harms far classes least.
* The paper moves all players at once from the old profile with their full losses; a step here moves them at once on a
  batch. The released code steps class after class through one shared network, and sums over all others in every step
  (``coupling=uniform-enumerated``, with cost in proportion to K); drawn labels cost the same at any K.
* The released code drops labels for whole batches; here each row loses its own, and then has no pull.
* ``rows``, ``start``, ``similarity`` and ``by-count`` are ours, and so is ``gamma``, with which CBDM is a special case:
  ``coupling=train, gamma=0.25, time_weight=reference, rows=1``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from torch import Tensor

from evenscore.objectives.base import ClassMoments
from evenscore.objectives.coupling import LAWS, Coupled, Coupling, similarity
from evenscore.objectives.weighting import WEIGHTINGS
from evenscore.records import check, check_name

COUPLINGS = tuple(law for law in LAWS if law != "null")


@dataclass(frozen=True)
class Mutual(Coupled):
    """Denoising loss plus the pull of each class towards what the others predict.

    Attributes:
        strength: beta of the paper (its headline on images is 0.1); kappa under ``by-count``. 0 is plain denoising.
        strength_rule: ``constant``, or ``by-count``: ``strength / n_y`` for a class with ``n_y`` training samples.
        coupling: law of the other label: ``uniform``, ``uniform-enumerated``, ``train``, ``sqrt`` or ``similarity``.
        width: under ``similarity``, distance of far classes in units of the median distance of a class to its nearest one.
        time_weight: weight over noise levels: ``vanishing``, ``reference``, ``constant`` or ``paper``.
        gamma: weight of the commitment term, which moves the prediction under the other label; 0 leaves others alone.
        start: share of the budget after which the pull begins, growing over a tenth of the budget; 0 is at once.
        rows: share of the batch's rows on which the pull is evaluated, drawn by weight; 1 is all of them.
        weighting: weighting of the denoising term over noise levels.

    Raises:
        UsageError: an unknown name, or a number outside its range.
    """

    strength: float = 0.1
    strength_rule: str = "constant"
    coupling: str = "uniform"
    width: float = 1.0
    time_weight: str = "vanishing"
    gamma: float = 0.0
    start: float = 0.0
    rows: float = 0.25
    weighting: str = "edm"
    similar: Tensor | None = field(default=None, init=False, compare=False, repr=False)
    source: ClassVar[str] = "Das et al. 2025, L_reg"
    forwards: ClassVar[float] = 1.25
    neutral: ClassVar[Mapping[str, Any]] = {"strength": 0.0}

    def __post_init__(self) -> None:
        check_name("coupling", self.coupling, COUPLINGS)
        check_name("weighting", self.weighting, WEIGHTINGS)
        check("strength", self.strength, self.strength >= 0, "at least 0")
        check("width", self.width, self.width > 0, "above 0")
        self.pull()

    def bind(self, measure: Callable[[], ClassMoments]) -> Self:
        """With the law ``similarity`` measured on the data; unchanged under any other law."""
        if self.coupling != "similarity":
            return self
        bound = copy.copy(self)
        object.__setattr__(bound, "similar", similarity(measure(), self.width))
        return bound

    def pull(self) -> Coupling:
        """The coupling of the players."""
        return Coupling(
            self.coupling,
            self.strength,
            self.strength_rule,
            self.time_weight,
            self.gamma,
            self.start,
            self.rows,
            self.similar,
        )
