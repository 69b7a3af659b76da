"""Fitting the law in closed form of each class: its moments, and how far it keeps to its own rows.

Law: the share a of :class:`~evenscore.denoisers.class_kernels.ClassKernels` and the weight nu of the common
covariance are those of the greatest likelihood of left-out rows of the class, the smallest share being taken that is
not clearly behind: a class whose rows are Gaussian is a Gaussian exactly. Classes of fewer than :data:`LEAST` rows
are Gaussians with nu = D.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from evenscore.denoisers.class_kernels import ClassKernels
from evenscore.process import Process
from evenscore.random import generator
from evenscore.vectors.shrink import FOLDS, class_covariance, class_means, common_covariance, folds

SHARES = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
WEIGHTS = (1e-5, 1e-3, 0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0)
"""Weights nu that are tried, in units of D."""
LEAST = 6
ERRORS, GAIN = 2.0, 0.02
"""A larger share has to gain more than so many standard errors, and more nats a row."""
CENTRES = 2000
"""Centres of a class, at most; drawn from its rows where there are more."""
JUDGED = 2500
"""Rows of a class by which its share is chosen, at most."""
MANY = 600
"""Rows of a class from which one fold of five is enough."""


@dataclass(frozen=True)
class Chosen:
    """What was chosen for a class: share a and weight nu."""

    share: float
    weight: float


def fit_kernels(
    samples: Sequence[Tensor], process: Process, seed: int, counts: Sequence[int] | None = None
) -> ClassKernels:
    """The laws of some classes.

    Args:
        samples: (n_k, D) rows of each class, n_k at least 1.
        process: noise process.
        seed: of folds and of centres.
        counts: weights of the classes under the null label; their numbers of rows when None.
    """
    rows = [part.double() for part in samples]
    common = common_covariance(rows, seed)
    means = class_means(rows, common)
    chosen = [choose(part, common, seed, k) for k, part in enumerate(rows)]
    covariances, centres = [], []
    for part, how, k in zip(rows, chosen, range(len(rows)), strict=True):
        rest = part - part.mean(0)
        covariances.append(class_covariance(rest.T @ rest, len(part) - 1, common, how.weight))
        centres.append(_some(part - part.mean(0), CENTRES, seed, k))
    shares = torch.tensor([how.share for how in chosen], dtype=torch.float64)
    weights = torch.tensor([len(part) for part in rows] if counts is None else list(counts), dtype=torch.float64)
    return ClassKernels(process, means, torch.stack(covariances), centres, shares, weights)


def _some(rest: Tensor, most: int, seed: int, k: int) -> Tensor:
    """At most ``most`` of the rows (n, D), moved to mean 0."""
    if len(rest) <= most:
        return rest
    part = rest[torch.randperm(len(rest), generator=generator(seed, "centres", k))[:most]]
    return part - part.mean(0)


def choose(rows: Tensor, common: Tensor, seed: int, k: int) -> Chosen:
    """Share and weight of class k with the rows (n, D): first the weight, of the Gaussian, then the share under it."""
    size = rows.shape[1]
    if len(rows) < LEAST:
        return Chosen(0.0, float(size))
    judged = _some_rows(rows, JUDGED, seed, k)
    number = 1 if len(judged) >= MANY else FOLDS
    pairs = islice(folds(len(judged), seed, "kernels", k), number)
    parts = [(judged[kept], judged[out]) for kept, out in pairs]
    weights = [size * factor for factor in WEIGHTS]
    totals = [sum(float(_left_out(*part, common, weight, (0.0,)).sum()) for part in parts) for weight in weights]
    weight = weights[totals.index(max(totals))]
    scores = torch.cat([_left_out(*part, common, weight, SHARES) for part in parts], dim=1)
    return Chosen(_least_share(scores), weight)


def _some_rows(rows: Tensor, most: int, seed: int, k: int) -> Tensor:
    if len(rows) <= most:
        return rows
    return rows[torch.randperm(len(rows), generator=generator(seed, "judged", k))[:most]]


def _least_share(scores: Tensor) -> float:
    """The smallest share that is not clearly behind the best, from log-likelihoods (shares, rows)."""
    best = int(scores.mean(1).argmax())
    for i, share in enumerate(SHARES):
        behind = scores[best] - scores[i]
        allowed = max(GAIN, ERRORS * float(behind.std()) / math.sqrt(len(behind)))
        if i == best or float(behind.mean()) <= allowed:
            return share
    return SHARES[best]


def _left_out(kept: Tensor, out: Tensor, common: Tensor, weight: float, shares: Sequence[float]) -> Tensor:
    """Log-likelihoods (shares, m), up to a constant, of the rows ``out`` (m, D) under the law of ``kept`` (n, D)."""
    mean = kept.mean(0)
    rest = kept - mean
    root = torch.linalg.cholesky(class_covariance(rest.T @ rest, len(kept) - 1, common, weight))
    centres, there = (torch.linalg.solve_triangular(root, part.T, upper=False).T for part in (rest, out - mean))
    size, log_det = kept.shape[1], float(root.diagonal().log().sum())
    cross, far, near = there @ centres.T, centres.square().sum(1), there.square().sum(1, keepdim=True)
    found = []
    for share in shares:
        narrow = 1 - share**2
        apart = near - 2 * share * cross + share**2 * far
        score = (-0.5 * apart / narrow).logsumexp(1) - math.log(len(kept))
        found.append(score - 0.5 * size * math.log(narrow) - log_det)
    return torch.stack(found)
