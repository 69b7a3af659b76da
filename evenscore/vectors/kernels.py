"""The law of one mean of a class: the weight of the common covariance, and how near it keeps to its own rows.

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

from evenscore.random import generator
from evenscore.vectors.shrink import FOLDS, class_covariance, folds

SHARES = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
WEIGHTS = (1e-5, 1e-3, 0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0)
"""Weights nu that are tried, in units of D."""
LEAST = 6
ERRORS, GAIN = 2.0, 0.02
"""A law that is later in its order has to gain more than so many standard errors, and more nats a row."""
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


def centres_of(rows: Tensor, seed: int, k: int) -> Tensor:
    """At most :data:`CENTRES` of the rows (n, D) of class k, moved to mean 0."""
    rest = rows - rows.mean(0)
    if len(rest) <= CENTRES:
        return rest
    part = rest[torch.randperm(len(rest), generator=generator(seed, "centres", k))[:CENTRES]]
    return part - part.mean(0)


def choose(rows: Tensor, common: Tensor, seed: int, k: int) -> Chosen:
    """Share and weight of class k with the rows (n, D): first the weight, of the Gaussian, then the share under it."""
    size = rows.shape[1]
    if len(rows) < LEAST:
        return Chosen(0.0, float(size))
    judged = some_rows(rows, JUDGED, seed, k)
    number = 1 if len(judged) >= MANY else FOLDS
    pairs = islice(folds(len(judged), seed, "kernels", k), number)
    parts = [(judged[kept], judged[out]) for kept, out in pairs]
    weights = [size * factor for factor in WEIGHTS]
    totals = [sum(float(left_out(*part, common, weight, (0.0,)).sum()) for part in parts) for weight in weights]
    weight = weights[totals.index(max(totals))]
    scores = torch.cat([left_out(*part, common, weight, SHARES) for part in parts], dim=1)
    return Chosen(SHARES[first_near(scores)], weight)


def some_rows(rows: Tensor, most: int, seed: int, k: int) -> Tensor:
    """At most ``most`` of the rows (n, D) of class k."""
    if len(rows) <= most:
        return rows
    return rows[torch.randperm(len(rows), generator=generator(seed, "judged", k))[:most]]


def first_near(scores: Tensor, errors: float = ERRORS) -> int:
    """The number of the first law that is not clearly behind the best, from log-likelihoods (laws, rows)."""
    best = int(scores.mean(1).argmax())
    for i in range(best):
        behind = scores[best] - scores[i]
        if float(behind.mean()) <= max(GAIN, errors * float(behind.std()) / math.sqrt(len(behind))):
            return i
    return best


def left_out(kept: Tensor, out: Tensor, common: Tensor, weight: float, shares: Sequence[float]) -> Tensor:
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
