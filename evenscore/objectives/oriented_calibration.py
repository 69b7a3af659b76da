"""Oriented calibration: a noisy sample may aim at another sample of its batch, chosen by how well it explains the noisy one.

"Long-tailed Diffusion Models with Oriented Calibration" (ICLR 2024). With ``x~ = x_t / alpha`` and
``s = sigma / alpha``, row i draws a reference z from the transfer law

    p(j | i) = softmax_j( -|x~_i - x0_j|^2 / (2 s_i^2) ),

which is the posterior, over the samples of the batch, of the sample that was noised; a gate accepts z or keeps i. With q
the label frequencies of the training set:

* ``t2h``: z is accepted where ``q(y_z) >= q(y_i)``, so rows of small classes aim at samples of larger ones;
* ``h2t``: where ``q(y_z) <= q(y_i)``;
* ``full``: always; ``none``: never, which is plain denoising;
* ``soft``: always, and z is drawn in proportion to ``p(j | i) (q(y_j) / q(y_i))^ratio_power``. Since ``q(y_i)`` is the same
  for all j, this is the posterior under a prior of ``q^ratio_power``: above 0 it leans to large classes, below 0 to small
  ones, and 0 is ``full``.

The target is ``eps' = (x_t - alpha x0_z) / sigma``, that is, ``x0_z`` in place of ``x0_i``; the label stays ``y_i``. Rows
without their label are treated alike, by the class that they have.

What the target is on average (derived). Over data of class shares pi, with ``m_k = E[x0 | x_t, k]`` and P the posterior of
the class of what was noised, the mean target of a row of class y is

    m_y + sum_{k accepted} P(k | x_t) (m_k - m_y).

So it is biased wherever classes overlap, ``full`` erases the condition, and ``t2h`` leaves the largest class alone
(:func:`calibrated_mean`; ``python -m benchmarks objective-identities`` measures it).

``cut`` is a time of the discrete reference schedule; it is carried over as a noise level: rows with ``t/T`` below it take part.
``reference=balanced`` weighs each sample of the batch by one over how many of its class the batch holds, which stands for a
batch that was drawn with equal classes (ours: no second batch is drawn).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from evenscore.labels import LabelDistribution
from evenscore.objectives.base import Noised
from evenscore.objectives.layered import Layered
from evenscore.objectives.time_weight import reference_time
from evenscore.objectives.weighting import WEIGHTINGS
from evenscore.process import Process, expand
from evenscore.records import check, check_name

GATES = ("t2h", "h2t", "full", "soft", "none")
REFERENCES = ("batch", "balanced")


@dataclass(frozen=True)
class OrientedCalibration(Layered):
    """Denoising loss towards another sample of the batch, drawn by its posterior and gated by label frequency.

    Attributes:
        gate: ``t2h``, ``h2t``, ``full``, ``soft`` or ``none``; ``none`` is plain denoising.
        ratio_power: power of the ratio of label frequencies under ``soft``, any sign; 0 elsewhere.
        cut: share of the reference schedule, 0 to 1, below which rows take part; 1 is all of them.
        reference: ``batch``, or ``balanced``: samples of the batch count as if it held each class alike.
        weighting: weighting of the denoising term over noise levels.

    Raises:
        UsageError: an unknown name, a cut outside 0 to 1, or a ratio_power without ``gate=soft``.
    """

    gate: str = "t2h"
    ratio_power: float = 0.0
    cut: float = 1.0
    reference: str = "batch"
    weighting: str = "edm"
    source: ClassVar[str] = "Long-tailed Diffusion Models with Oriented Calibration, ICLR 2024"
    neutral: ClassVar[Mapping[str, Any]] = {"gate": "none"}
    couples_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_name("gate", self.gate, GATES)
        check_name("reference", self.reference, REFERENCES)
        check_name("weighting", self.weighting, WEIGHTINGS)
        check("cut", self.cut, 0 <= self.cut <= 1, "between 0 and 1")
        check("ratio_power", self.ratio_power, self.ratio_power == 0 or self.gate == "soft", "0 unless gate=soft")

    def aim(self, process: Process, batch: Noised, labels: LabelDistribution, generator: torch.Generator) -> Noised:
        if self.gate == "none":
            return batch
        z = torch.multinomial(self.transfer_law(process, batch, labels).cpu(), 1, generator=generator)[:, 0]
        z = z.to(batch.y.device)
        moved = self._accepted(batch.y, batch.y[z], labels) & self._levels(process.log_snr(batch.t))
        moved = moved & (z != torch.arange(len(z), device=z.device))
        if not bool(moved.any()):
            return batch
        x0 = torch.where(expand(moved, batch.x0), batch.x0[z], batch.x0)
        alpha, sigma = expand(process.alpha(batch.t), x0), expand(process.sigma(batch.t), x0)
        eps = torch.where(expand(moved, x0), (batch.x_t - alpha * x0) / sigma, batch.eps)
        return replace(batch, x0=x0.to(batch.x0), eps=eps.to(batch.eps))

    def level_weights(self, log_snr: Tensor) -> dict[str, Tensor]:
        """``transfer``: 1 where rows take part, 0 where they aim at what was noised."""
        takes = self._levels(log_snr) if self.gate != "none" else torch.zeros_like(log_snr)
        return {"transfer": takes.to(log_snr)}

    def transfer_law(self, process: Process, batch: Noised, labels: LabelDistribution) -> Tensor:
        """(B, B) float64: the law from which row i draws its reference, before the gate."""
        logits = log_posterior(batch.x0, batch.eps, process.log_snr(batch.t.double()))
        if self.gate == "soft":
            logits = logits + self.ratio_power * _log_counts(labels).to(logits)[batch.y]
        if self.reference == "balanced":
            logits = logits - (batch.y[:, None] == batch.y).sum(0).to(logits).log()
        return logits.softmax(1)

    def _accepted(self, mine: Tensor, theirs: Tensor, labels: LabelDistribution) -> Tensor:
        """(B,) whether a row of class ``mine`` accepts a reference of class ``theirs``."""
        count = torch.tensor(labels.counts, device=mine.device)
        if self.gate == "t2h":
            return count[theirs] >= count[mine]
        return count[theirs] <= count[mine] if self.gate == "h2t" else torch.ones_like(mine, dtype=torch.bool)

    def _levels(self, log_snr: Tensor) -> Tensor:
        everywhere = torch.ones_like(log_snr, dtype=torch.bool)
        return everywhere if self.cut == 1 else reference_time(log_snr) < self.cut


def log_posterior(x0: Tensor, eps: Tensor, log_snr: Tensor) -> Tensor:
    """``-|x~_i - x0_j|^2 / (2 s_i^2)`` (B, B) float64, up to a constant of each row.

    From ``x~_i - x0_j = (x0_i - x0_j) + s_i eps_i``, so nothing cancels where the noise is small.

    Args:
        x0: (B, ...) clean samples.
        eps: (B, ...) their noise.
        log_snr: (B,) ``-2 log s``.
    """
    clean, noise = x0.detach().double().flatten(1), eps.detach().double().flatten(1)
    apart = torch.cdist(clean, clean, compute_mode="donot_use_mm_for_euclid_dist").square()
    along = (noise * clean).sum(1, keepdim=True) - noise @ clean.T
    root = (log_snr.double() / 2).exp()[:, None]
    return -(root.square() * apart / 2 + root * along)


def calibrated_mean(means: Tensor, posterior: Tensor, counts: Tensor, gate: str) -> Tensor:
    """Mean target (K, n, ...) of rows of each class at noisy inputs, for a batch as large as the data.

    Args:
        means: (K, n, ...) ``m_k = E[x0 | x_t, k]`` at n inputs.
        posterior: (K, n) ``P(k | x_t)`` under the class shares of the batch.
        counts: (K,) training samples, which the gate compares.
        gate: ``t2h``, ``h2t`` or ``full``.
    """
    less = counts[None, :] >= counts[:, None] if gate == "t2h" else counts[None, :] <= counts[:, None]
    taken = torch.ones_like(less) if gate == "full" else less
    share = taken.to(posterior)[:, :, None] * posterior[None]
    apart = means[None] - means[:, None]
    return means + (expand(share, apart) * apart).sum(1)


def _log_counts(labels: LabelDistribution) -> Tensor:
    return torch.tensor(labels.counts, dtype=torch.float64).clamp_min(1).log()
