"""Separation with a margin: predictions under two labels are kept apart until the classes can be told from each other.

DiffROP (arXiv 2402.10821) keeps the divergence between the reverse kernels of two classes large. Its
formulas and tables were not available; what follows is derived, and not a reproduction. With h the noise predicted
under the row's label y, h' under another label y' and a mean over the D elements, row i adds

    strength u(log SNR) max(0, m - |h - h'|^2).

The factor between divergence and distance: two reverse kernels from t to s < t with one covariance and clean samples x0,
x0' differ in their means by ``alpha_s r (x0 - x0')``, with ``r = 1 - SNR_t / SNR_s`` and variance ``sigma_s^2 r``, so

    KL = (SNR_s - SNR_t) / 2 |x0 - x0'|^2 = (SNR_s / SNR_t - 1) / 2 |eps - eps'|^2          (:func:`reverse_divergence`),

and over a whole path ``1/2 integral |eps - eps'|^2 d(log SNR)``: a unit weight in log SNR. The margin is stated there, in nats:
with the process's range of log SNR of length l, ``m = 2 margin / (D l)``. ln(1000) = 7 nats tell two classes apart as a
likelihood ratio of a thousand does, whatever the number of elements.

The weight u falls with noise (``1 - t/T``), so that separation acts where pulling objectives do not. ``moves`` says which
prediction a term moves: both (the formula read as it stands), the row's own, or the other one only, which leaves the row's own
fit alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from evenscore.labels import LabelDistribution
from evenscore.objectives.base import Terms, per_sample
from evenscore.objectives.layered import Direction, Layered, Seen
from evenscore.objectives.time_weight import TIME_WEIGHTS
from evenscore.objectives.weighting import WEIGHTINGS
from evenscore.process import Process
from evenscore.records import check, check_name

MOVES = ("both", "own", "other")
PAIRS = ("uniform", "train", "sqrt")


@dataclass(frozen=True)
class DiffROP(Layered):
    """Denoising loss plus a hinge that keeps predictions under different labels apart.

    Attributes:
        strength: weight of the hinge; 0 is plain denoising.
        margin: divergence over the whole path from which classes count as apart, nats.
        law: law of the other label, among the other classes: ``uniform``, ``train`` or ``sqrt``.
        time_weight: weight over noise levels: ``falling``, ``constant``, ``reference``, ``vanishing`` or ``paper``.
        moves: which prediction is moved: ``both``, ``own`` or ``other``.
        weighting: weighting of the denoising term over noise levels.

    Raises:
        UsageError: an unknown name, or a number outside its range.
    """

    strength: float = 1.0
    margin: float = 7.0
    law: str = "uniform"
    time_weight: str = "falling"
    moves: str = "both"
    weighting: str = "edm"
    source: ClassVar[str] = "after DiffROP (arXiv 2402.10821); formula, margin and pairs derived here"
    forwards: ClassVar[float] = 2.0
    backwards: ClassVar[float] = 2.0
    neutral: ClassVar[Mapping[str, Any]] = {"strength": 0.0}

    def __post_init__(self) -> None:
        check_name("law", self.law, PAIRS)
        check_name("time_weight", self.time_weight, TIME_WEIGHTS)
        check_name("moves", self.moves, MOVES)
        check_name("weighting", self.weighting, WEIGHTINGS)
        for key in ("strength", "margin"):
            check(key, getattr(self, key), getattr(self, key) >= 0, "at least 0")

    def added(self, seen: Seen) -> Terms:
        other = other_labels(seen.batch.y, seen.labels, self.law, seen.generator) if self.strength else None
        if other is None:
            return {}
        batch = seen.batch
        level = TIME_WEIGHTS[self.time_weight](seen.denoiser.process.log_snr(batch.t))
        mine, theirs = seen.prediction.eps, self._others(seen, other)
        if self.moves == "other":
            mine = mine.detach()
        gap = per_sample((mine - theirs).square())
        short = (self.margin_per_element(seen.denoiser.process, batch.x0[0].numel()) - gap).clamp_min(0)
        return {"separation": self.strength * level * batch.kept * short}

    def level_weights(self, log_snr: Tensor) -> dict[str, Tensor]:
        """``separation``: u of the module's law, on the squared distance of noise predictions."""
        return {"separation": TIME_WEIGHTS[self.time_weight](log_snr)}

    def directions(self) -> Mapping[str, Direction]:
        return {"separation": "push"} if self.strength > 0 else {}

    def margin_per_element(self, process: Process, size: int) -> float:
        """m: mean squared distance of noise predictions at which the margin is reached at a steady rate in log SNR."""
        ends = process.log_snr(torch.tensor([process.t_min, process.t_max], dtype=torch.float64))
        return 2 * self.margin / (size * float(ends[0] - ends[1]))

    def _others(self, seen: Seen, other: Tensor) -> Tensor:
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.moves != "own"):
            return seen.denoiser.predict(seen.batch.x_t, seen.batch.t, other).eps


def other_labels(y: Tensor, labels: LabelDistribution, law: str, generator: torch.Generator) -> Tensor | None:
    """For each row a label (B,) of another class, drawn from ``law`` among the others; None where there is one class only."""
    weight = labels.target(law).expand(len(y), -1).clone()
    weight[torch.arange(len(y)), y.cpu()] = 0
    if not bool((weight.sum(1) > 0).all()):
        return None
    return torch.multinomial(weight, 1, generator=generator)[:, 0].to(y.device)


def reverse_divergence(log_snr_before: float, log_snr_after: float, gap: Tensor) -> Tensor:
    """Divergence in nats between two reverse kernels of equal covariance, from their noise predictions.

    Args:
        log_snr_before: at t, where the step starts.
        log_snr_after: at s < t, above it.
        gap: squared distance of the noise predictions, summed over the elements.
    """
    return math.expm1(log_snr_after - log_snr_before) / 2 * gap
