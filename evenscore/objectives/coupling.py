"""The pull between predictions under two labels at one noisy input, the common part of CBDM, mutual learning and
alignment.

With h the noise predicted under the row's own label y, h' under another label y', sg the stop-gradient and a mean over
the elements, row i of a batch adds

    w_i sum_y' Q(y' | y) [ |h - sg(h')|^2 + gamma |sg(h) - h'|^2 ],
    w_i = strength(y) u(log SNR) ramp(progress), and 0 where the label was dropped.

Law: with ``rows`` below 1 the sum over the batch is estimated from a part of its rows, drawn in proportion to w (by
systematic sampling), each drawn row counting ``sum(w) / (w_i m)``: the expectation over draws is the full value, and no
row is evaluated that would count nothing. h is the prediction that the denoising term has computed anyway, so the cost
is the forward pass of y' on those rows; with gamma = 0 it runs without a gradient.

Laws Q of the other label:

* ``uniform``: drawn, ``1 / K`` for each label; ``uniform-enumerated``: all the others, each ``1 / K``, which is its
  expectation;
* ``train``: drawn as in the training set; ``sqrt``: in proportion to the square roots of the counts;
* ``boosted:P``: drawn in proportion to ``n_y^(1 - P)``: ``train`` at 0, ``uniform`` at 1, and above 1 mostly small classes;
* ``similarity``: drawn, near classes more than far ones, see :func:`similarity`;
* ``null``: always the null label, that is the prediction without a label.

Where the drawn label is the row's own the two predictions are one and nothing is pulled (but for the network's dropout,
whose masks differ between the two).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.errors import UsageError
from evenscore.labels import LabelDistribution
from evenscore.objectives.base import ClassMoments, Noised, Terms, per_sample
from evenscore.objectives.layered import Direction, Layered, Seen
from evenscore.objectives.time_weight import TIME_WEIGHTS
from evenscore.prediction import Prediction
from evenscore.records import check, check_name

DRAWN = ("uniform", "train", "sqrt")
BOOSTED = "boosted:"
LAWS = (*DRAWN, "uniform-enumerated", "similarity", "null")
STRENGTH_RULES = ("constant", "by-count")
RAMP = 0.1
"""Share of the budget over which a coupling that starts late grows to its full strength."""


@dataclass(frozen=True)
class Coupling:
    """The pull on a batch.

    Attributes:
        law: law Q of the other label, one of :data:`LAWS`, or ``boosted:P``.
        strength: factor of the pull; under ``by-count`` it is kappa.
        strength_rule: ``constant``, or ``by-count``: ``strength / n_y`` for a row of a class with ``n_y`` training samples.
        time_weight: u, one of :data:`~evenscore.objectives.time_weight.TIME_WEIGHTS`.
        gamma: weight of the commitment term, which moves the prediction under the other label.
        start: share of the budget after which the pull begins, growing linearly over a tenth of the budget; 0 is at full
            strength from the first step.
        rows: share of the batch's rows on which it is evaluated, above 0 to 1.
        similar: (K, K) law of ``similarity``.

    Raises:
        UsageError: an unknown name, or a number outside its range.
    """

    law: str = "uniform"
    strength: float = 1.0
    strength_rule: str = "constant"
    time_weight: str = "vanishing"
    gamma: float = 0.0
    start: float = 0.0
    rows: float = 1.0
    similar: Tensor | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.law.startswith(BOOSTED):
            check_name("coupling", self.law, LAWS)
        check_name("strength_rule", self.strength_rule, STRENGTH_RULES)
        check_name("time_weight", self.time_weight, TIME_WEIGHTS)
        check("gamma", self.gamma, self.gamma >= 0, "at least 0")
        check("start", self.start, 0 <= self.start < 1, "from 0 to below 1")
        check("rows", self.rows, 0 < self.rows <= 1, "above 0 to 1")

    def __call__(
        self,
        denoiser: Denoiser,
        prediction: Prediction,
        batch: Noised,
        labels: LabelDistribution,
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        """Terms ``pull`` (B,) and, with a commitment, ``commitment`` (B,); none where the strength is 0.

        Args:
            denoiser: what predicted.
            prediction: its prediction for ``batch`` under ``batch.y_in``.
            batch: the noised batch.
            labels: the training law.
            generator: of the rows and the other labels.
        """
        if self.strength * self.ramp(batch.progress) == 0:
            return {}
        weight = self.weights(denoiser, batch, labels)
        x_t, t, y, h = batch.x_t, batch.t, batch.y, prediction.eps
        if self.rows == 1:
            gaps = self._gaps(denoiser, h, x_t, t, self._others(y, len(y), labels, generator))
            return {name: weight * gap for name, gap in gaps.items()}
        index, share = draw_rows(weight, self.rows, generator)
        others = self._others(y[index], len(y), labels, generator)
        gaps = self._gaps(denoiser.rows(index), h[index], x_t[index], t[index], others)
        return {name: gap.new_zeros(len(y)).index_add(0, index, share * gap) for name, gap in gaps.items()}

    def ramp(self, progress: float) -> float:
        """Share of the full strength at a share of the budget."""
        return min(1.0, max(0.0, (progress - self.start) / RAMP)) if self.start > 0 else 1.0

    def weights(self, denoiser: Denoiser, batch: Noised, labels: LabelDistribution) -> Tensor:
        """(B,) w: strength of each row times time weight, 0 where the label was dropped.

        Under ``similarity`` it holds the sum of the row's Q too, so that other labels are drawn from Q divided by its sum.
        """
        level = TIME_WEIGHTS[self.time_weight](denoiser.process.log_snr(batch.t))
        weight = self.strength * self.ramp(batch.progress) * level * batch.kept
        if self.strength_rule == "by-count":
            weight = weight / torch.tensor(labels.counts).clamp_min(1).to(weight)[batch.y]
        if self.law == "similarity":
            weight = weight * self._similar().sum(1).to(weight)[batch.y]
        return weight

    def _gaps(
        self,
        denoiser: Denoiser,
        h: Tensor,
        x_t: Tensor,
        t: Tensor,
        others: Iterator[tuple[Tensor, float]],
    ) -> dict[str, Tensor]:
        """Squared distances (n,) to the predictions under the other labels, as they move h, and as they move the others."""
        found: dict[str, Tensor] = {}
        for other, share in others:
            many, row = len(other) // len(h), torch.arange(len(other), device=h.device) % len(h)
            mine, x, at, who = (h, x_t, t, denoiser) if many == 1 else (h[row], x_t[row], t[row], denoiser.rows(row))
            with torch.no_grad() if self.gamma == 0 else nullcontext():
                pulled = who.predict(x, at, other).eps
            gaps = {"pull": share * per_sample((mine - pulled.detach()).square())}
            if self.gamma > 0:
                gaps["commitment"] = self.gamma * share * per_sample((mine.detach() - pulled).square())
            summed = {name: gap.reshape(many, len(h)).sum(0) for name, gap in gaps.items()}
            found = {name: found[name] + gap if found else gap for name, gap in summed.items()}
        return found

    def _others(
        self, y: Tensor, most: int, labels: LabelDistribution, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, float]]:
        """Other labels of rows with labels ``y`` (n,), and what each counts: (n,), or (m n,), m for each row in turn.

        Args:
            y: labels of the rows.
            most: labels at once, unless n are more.
            labels: the training law.
            generator: of drawn labels.
        """
        classes = labels.num_classes
        if self.law == "null":
            yield torch.full_like(y, classes), 1.0
        elif self.law == "uniform-enumerated":
            for steps in torch.split(torch.arange(1, classes, device=y.device), max(1, most // len(y))):
                yield ((y + steps[:, None]) % classes).flatten(), 1 / classes
        elif self.law == "similarity":
            law = self._similar()[y.cpu()]
            law = torch.where(law.sum(1, keepdim=True) > 0, law, torch.ones_like(law))
            yield torch.multinomial(law, 1, generator=generator)[:, 0].to(y.device), 1.0
        else:
            yield labels.sample(len(y), generator, self.law).to(y.device), 1.0

    def _similar(self) -> Tensor:
        if self.similar is None:
            raise UsageError(
                "coupling=similarity was not told where the classes lie: bind the objective to the training data first"
            )
        return self.similar


class Coupled(Layered):
    """An objective that adds a :class:`Coupling` to the denoising loss. Subclasses are frozen dataclasses."""

    def added(self, seen: Seen) -> Terms:
        return self.pull()(seen.denoiser, seen.prediction, seen.batch, seen.labels, seen.generator)

    def level_weights(self, log_snr: Tensor) -> dict[str, Tensor]:
        """``pull`` and ``commitment``: u of the module's law, on the squared distance of noise predictions."""
        weight = TIME_WEIGHTS[self.pull().time_weight](log_snr)
        return {"pull": weight, "commitment": weight}

    def directions(self) -> Mapping[str, Direction]:
        return {"pull": "pull"} if self.pull().strength > 0 else {}

    def independent(self) -> bool:
        """Whether all rows are evaluated: which of them are drawn depends on all weights."""
        return self.pull().rows == 1 or self.pull().strength == 0

    @abstractmethod
    def pull(self) -> Coupling:
        """The coupling that is added."""


def draw_rows(weight: Tensor, share: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Rows drawn in proportion to their weight, and what each of them counts.

    Systematic sampling: one uniform number places m equally spaced marks on the line of the weights laid end to end, so row i
    is drawn ``m w_i / sum(w)`` times in expectation, rounded down or up.

    Args:
        weight: (B,) at least 0.
        share: m as a share of B, rounded up.
        generator: on the CPU.

    Returns:
        Indices (m,), and ``sum(w) / m`` ().
    """
    line = weight.detach().double().cpu().cumsum(0)
    m = math.ceil(share * len(weight))
    marks = (torch.arange(m, dtype=torch.float64) + torch.rand(1, generator=generator, dtype=torch.float64)) / m
    index = torch.searchsorted(line, marks * line[-1], right=True).clamp_max(len(weight) - 1)
    return index.to(weight.device), weight.sum() / m


def similarity(moments: ClassMoments, width: float) -> Tensor:
    """The law of ``similarity``: ``Q_kj = exp(-d_kj^2 / (2 width^2 u^2)) / K``, (K, K), float64, with a zero diagonal.

    ``d_kj^2`` are the distances of :func:`squared_distances`. The unit u is the median over classes of the distance to the
    nearest other class. Rows are not normalised: a class that is far from all others is left alone. A class without
    samples has no neighbours.

    Args:
        moments: of the training set.
        width: distance at which classes begin to count as far, in units of u.
    """
    classes, dim = moments.means.shape
    counts = torch.tensor(moments.counts)
    ridge = 1e-6 * moments.within.diagonal().mean().clamp_min(1e-12)
    square = squared_distances(
        moments.means, moments.counts, moments.within + ridge * torch.eye(dim, dtype=torch.float64)
    )
    there = (counts[:, None] > 0) & (counts > 0) & ~torch.eye(classes, dtype=torch.bool)
    nearest = torch.where(there, square, torch.inf).min(1).values
    unit = nearest[nearest.isfinite()].median().clamp_min(1e-12)
    return torch.where(there, torch.exp(-square / (2 * width**2 * unit)), 0.0) / classes


def squared_distances(means: Tensor, counts: Sequence[int], within: Tensor) -> Tensor:
    """``max(0, |m_k - m_j|^2_S - D (1/n_k + 1/n_j))`` (K, K), float64: how far classes are apart beyond what chance explains.

    The distance is measured in the covariance S inside the classes; what is taken off is the expected squared error of the
    difference of two means, so that two classes of one law are near whatever their counts.

    Args:
        means: (K, D) class means.
        counts: n_k; 0 is taken as 1.
        within: (D, D) S, positive definite.
    """
    root = torch.linalg.cholesky(within.double())
    white = torch.linalg.solve_triangular(root, means.double().T, upper=False).T
    n = torch.tensor(counts, dtype=torch.float64).clamp_min(1)
    return (torch.cdist(white, white).square() - means.shape[1] * (1 / n[:, None] + 1 / n)).clamp_min(0)
