"""Where the objectives for long tails move a prediction: measured on an exact mixture, and by formula.

One noisy value is held fixed and its clean values are drawn from the oracle's posterior given each class; a denoiser whose
predictions are free numbers then minimises an objective exactly. Where it ends is compared with the derived fixed point, once
from the drawn rows' own means (equal up to rounding) and once from the oracle's exact predictions (equal up to the draws).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from evenscore.denoisers.base import Denoiser
from evenscore.denoisers.oracle import GaussianMixture
from evenscore.labels import LabelDistribution
from evenscore.objectives import (
    CountAlignment,
    Denoising,
    DiffROP,
    Mutual,
    Noised,
    Objective,
    OrientedCalibration,
    noised,
)
from evenscore.objectives.oriented_calibration import calibrated_mean
from evenscore.objectives.time_weight import TIME_WEIGHTS
from evenscore.prediction import Prediction
from evenscore.process import VP
from evenscore.random import generator

MEANS = torch.tensor([[-1.0, 0.0], [0.4, 0.8], [1.2, -0.6]], dtype=torch.float64)
SPREADS = (0.5, 0.7, 0.4)
COUNTS = (800, 100, 10)
POINT, TIME = (0.1, 0.2), 0.5
STRENGTH = 0.6


class Free(Denoiser):
    """Noise predictions that are free numbers, one vector for each label: for a single noisy value."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.process, self.num_classes, self.shape = VP(), classes, (2,)
        self.table = nn.Parameter(torch.zeros(classes + 1, 2, dtype=torch.float64))

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor) -> Prediction:
        return Prediction.from_eps(self.table[y], x_t, t, self.process)


@dataclass(frozen=True)
class Point:
    """Rows that share one noisy value.

    Attributes:
        rows: the same number for each class, and for the null label.
        exact: (K + 1, 2) what the oracle says of the noise, by label.
        error: standard error of the mean noise of a class's rows, the largest.
    """

    rows: Noised
    exact: Tensor
    error: float

    @property
    def means(self) -> Tensor:
        """(K + 1, 2) mean noise of each label's rows."""
        return torch.stack([self.rows.eps[self.rows.y_in == k].mean(0) for k in range(len(self.exact))])


def mixture(classes: int) -> GaussianMixture:
    """The first classes of the mixture, under the null label as they are in the counts."""
    return GaussianMixture.isotropic(
        VP(), MEANS[:classes], SPREADS[:classes], range(classes), class_weights=COUNTS[:classes]
    )


def point(classes: int, draws: int, seed: int) -> Point:
    """Clean values from the exact posterior of each label at the noisy value, and their noise."""
    oracle, process, random = mixture(classes), VP(), generator(seed, "posterior")
    t = torch.tensor([TIME], dtype=torch.float64)
    alpha, sigma = float(process.alpha(t)), float(process.sigma(t))
    x_t = torch.tensor([POINT], dtype=torch.float64)
    logits = torch.tensor([float(oracle.log_density(x_t, t, torch.tensor([k]))) for k in range(classes)])
    shares = (logits + torch.tensor(COUNTS[:classes]).log()).softmax(0)
    own = torch.arange(classes).repeat_interleave(draws)
    drawn = torch.multinomial(shares, draws, replacement=True, generator=random)
    y = torch.cat([own, drawn])
    spread = torch.tensor(SPREADS, dtype=torch.float64)[y][:, None]
    total = alpha**2 * spread.square() + sigma**2
    middle = MEANS[y] + alpha * spread.square() / total * (x_t - alpha * MEANS[y])
    noise = torch.randn(len(y), 2, generator=random, dtype=torch.float64)
    x0 = middle + spread * sigma / total.sqrt() * noise
    eps = (x_t - alpha * x0) / sigma
    y_in = torch.cat([own, torch.full((draws,), classes)])
    rows = replace(noised(process, x0, y, y_in, t.expand(len(y)), eps), x_t=x_t.expand(len(y), -1))
    exact = torch.cat([oracle.predict(x_t, t, torch.tensor([k])).eps for k in range(classes + 1)])
    return Point(rows, exact, float(eps.std()) / math.sqrt(draws))


def settled(objective: Objective, at: Point, counts: tuple[int, ...], steps: int = 3000, rate: float = 0.3) -> Tensor:
    """(K + 1, 2) where simultaneous gradient steps of all labels end."""
    denoiser, labels, share = Free(len(counts)), LabelDistribution(counts), len(at.exact)
    for step in range(steps):
        terms = objective(denoiser, at.rows, labels, generator(step, "draws"))
        loss = torch.stack(list(terms.values())).sum(0).mean() * share  # each label's rows count as a whole
        (gradient,) = torch.autograd.grad(loss, denoiser.table)
        with torch.no_grad():
            denoiser.table -= rate * gradient
        if float(gradient.abs().max()) < 1e-13:
            break
    return denoiser.table.detach()


Formula = Callable[[Tensor, float], Tensor]


def plain(aims: Tensor, level: float) -> Tensor:
    """Plain denoising ends at what its rows aim at."""
    return aims


def mutual(aims: Tensor, level: float) -> Tensor:
    """``h_y (1 + w (K-1)/K) = e_y + w/K sum of the others' h``, with ``w = strength u``; the null label is left alone."""
    classes, w = len(aims) - 1, STRENGTH * level
    system = -w / classes * torch.ones(classes, classes, dtype=torch.float64)
    system.fill_diagonal_(1 + w * (classes - 1) / classes)
    return torch.cat([torch.linalg.solve(system, aims[:-1]), aims[-1:]])


def alignment(aims: Tensor, level: float) -> Tensor:
    """``h_y = (n_y e_y + kappa u h0) / (n_y + kappa u)``."""
    n = torch.tensor(COUNTS[: len(aims) - 1], dtype=torch.float64)[:, None]
    pulled = (n * aims[:-1] + KAPPA * level * aims[-1:]) / (n + KAPPA * level)
    return torch.cat([pulled, aims[-1:]])


def separation(aims: Tensor, level: float) -> Tensor:
    """Two labels that push each other below the margin: ``h_y = (e_y - w h_other) / (1 - w)``, ``w = strength u``."""
    w = STRENGTH * level
    system = torch.tensor([[1 - w, w], [w, 1 - w]], dtype=torch.float64)
    return torch.cat([torch.linalg.solve(system, aims[:2]), aims[2:]])


KAPPA = 30.0
PULLS: Mapping[str, tuple[Objective, Formula, int, str]] = {
    "denoising": (Denoising("simple"), plain, 3, "constant"),
    "mutual": (
        Mutual(STRENGTH, coupling="uniform-enumerated", rows=1.0, time_weight="reference", weighting="simple"),
        mutual,
        3,
        "reference",
    ),
    "alignment": (
        CountAlignment(KAPPA, rows=1.0, time_weight="reference", weighting="simple"),
        alignment,
        3,
        "reference",
    ),
    "diffrop": (DiffROP(STRENGTH, margin=1e3, moves="own", weighting="simple"), separation, 2, "falling"),
}
"""Objective, its fixed point from what the rows aim at, number of classes, and its time weight."""


def pulls(draws: int, seed: int) -> dict[str, dict[str, float]]:
    """For each objective: how far it moves predictions, and how far it ends from its fixed point."""
    found = {}
    for name, (objective, formula, classes, time_weight) in PULLS.items():
        at, counts = point(classes, draws, seed), COUNTS[:classes]
        level = float(TIME_WEIGHTS[time_weight](VP().log_snr(torch.tensor([TIME], dtype=torch.float64))))
        ends = settled(objective, at, counts)
        exact = formula(at.exact, level)
        found[name] = {
            "largest bias by formula": float((exact - at.exact).abs().max()),
            "measured against formula, from the rows' means": float((ends - formula(at.means, level)).abs().max()),
            "measured against formula, from the oracle, in standard errors": float((ends - exact).abs().max())
            / at.error,
        }
    return found


def calibration(batch: int, repeats: int, seed: int) -> dict[str, dict[str, float]]:
    """For each gate: the mean target of each class's rows against its formula, and its bias.

    Every row of a batch has a noisy value of its own; formula and bias are averaged over the rows of a class.
    """
    oracle, process = mixture(3), VP()
    shares = torch.tensor(COUNTS, dtype=torch.float64) / sum(COUNTS)
    labels = LabelDistribution(COUNTS)
    found: dict[str, dict[str, float]] = {}
    for gate in ("t2h", "h2t", "full"):
        off, bias = (torch.zeros(3, repeats, dtype=torch.float64) for _ in range(2))
        for repeat in range(repeats):
            random = generator(seed, "batch", repeat)
            y = torch.multinomial(shares, batch, replacement=True, generator=random)
            t = torch.full((batch,), TIME, dtype=torch.float64)
            noise = torch.randn(batch, 2, generator=random, dtype=torch.float64)
            rows = noised(process, oracle.sample(y, random), y, y, t, noise)
            aimed = OrientedCalibration(gate).aim(process, rows, labels, random).x0
            exact = torch.stack([oracle.predict(rows.x_t, t, torch.full_like(y, k)).x0 for k in range(3)])
            density = torch.stack([oracle.log_density(rows.x_t, t, torch.full_like(y, k)) for k in range(3)])
            posterior = (density + shares.log()[:, None]).softmax(0)
            wanted = calibrated_mean(exact, posterior, torch.tensor(COUNTS), gate)
            for k in range(3):
                mine = y == k
                off[k, repeat] = (aimed - wanted[k])[mine][:, 0].mean()
                bias[k, repeat] = (wanted[k] - exact[k])[mine][:, 0].mean()
        names = ("largest class", "middle class", "smallest class")
        z = off.mean(1) / off.std(1) * repeats**0.5  # rows of a batch share references, so batches are what is repeated
        found[gate] = {f"{name}: bias by formula": float(b) for name, b in zip(names, bias.mean(1), strict=True)}
        found[gate] |= {f"{name}: measured minus formula": float(o) for name, o in zip(names, off.mean(1), strict=True)}
        found[gate]["measured against formula, in standard errors"] = float(z.abs().max())
    return found
