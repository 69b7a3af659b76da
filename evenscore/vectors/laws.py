"""The law in closed form of each class: a Gaussian, a Gaussian mixture, or a smoothed bootstrap of its rows.

Law: of a Gaussian, the mixture of the best number of parts and the bootstrap of :mod:`~evenscore.vectors.kernels`, the
first is taken whose log-likelihood of left-out rows is not clearly behind the best: a class whose rows are Gaussian is a
Gaussian exactly. A class with fewer than :data:`ROWS` rows for each of two parts is no mixture.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from evenscore.denoisers.class_kernels import ClassKernels
from evenscore.denoisers.class_mixtures import ClassMixtures
from evenscore.process import Process
from evenscore.vectors.kernels import Chosen, centres_of, choose, first_near, left_out, some_rows
from evenscore.vectors.mixtures import fit_mixture
from evenscore.vectors.shrink import class_covariance, class_means, common_covariance, folds

PARTS = (2, 4, 8, 16, 32)
"""Numbers of parts that are tried."""
ROWS = 20
"""Rows that a part has on average, at least."""
WEIGHT = 10.0
"""Weight nu of what the parts have in common in the covariance of each, in units of D."""
JUDGED, MOST = 5000, 20_000
"""Rows of a class by which the number of parts is chosen, and to which its mixture is fitted, at most."""
ERRORS = 1.0
"""A mixture has to be ahead of a Gaussian by more than so many standard errors of the mean of five folds."""
BEHIND = 0.02
"""Nats a row by which a larger number of parts is behind when no larger ones are tried."""


def fit_laws(
    samples: Sequence[Tensor],
    process: Process,
    seed: int,
    counts: Sequence[int] | None = None,
    parts: Sequence[int] = PARTS,
    wanted: Collection[int] | None = None,
) -> ClassMixtures:
    """The laws of some classes.

    Args:
        samples: (n_k, D) rows of each class, n_k at least 1.
        process: noise process.
        seed: of folds, centres and parts.
        counts: weights of the classes under the null label; their numbers of rows when None.
        parts: numbers of parts of a mixture that are tried, growing; none of them for laws of one mean.
        wanted: classes that may be mixtures; None for all.
    """
    rows = [part.double() for part in samples]
    common = common_covariance(rows, seed)
    means = class_means(rows, common)
    found, owners, near, centres = [], [], [], []
    for k, mine in enumerate(rows):
        how = choose(mine, common, seed, k)
        number = parts_of(mine, common, how, seed, k, parts if wanted is None or k in wanted else ())
        found.append(_mixed(mine, common, how, number, seed, k) if number else _plain(mine, means[k], common, how))
        owners += [k] * max(1, number)
        near += [0.0 if number else how.share] * max(1, number)
        centres += [centres_of(mine, seed, k)] * max(1, number)
    weights, centre, covariances = (torch.cat(each) for each in zip(*found, strict=True))
    shares = torch.tensor(near, dtype=torch.float64)
    size = torch.tensor([len(mine) for mine in rows] if counts is None else list(counts), dtype=torch.float64)
    kernels = ClassKernels(process, centre, covariances, centres, shares, weights)
    return ClassMixtures(kernels, torch.tensor(owners), weights, size)


Laws = tuple[Tensor, Tensor, Tensor]
"""Weights (J,), means (J, D) and covariances (J, D, D) of the laws of a class."""


def _plain(rows: Tensor, mean: Tensor, common: Tensor, how: Chosen) -> Laws:
    """The one law of a class that is no mixture: its mean and its covariance."""
    return torch.ones(1, dtype=torch.float64), mean[None], _covariance(rows, common, how)[None]


def _mixed(rows: Tensor, common: Tensor, how: Chosen, parts: int, seed: int, k: int) -> Laws:
    some = some_rows(rows, MOST, seed, k)
    found = fit_mixture(some, parts, _covariance(some, common, how), WEIGHT * rows.shape[1], seed)
    return found.weights, *found.laws()


def _covariance(rows: Tensor, common: Tensor, how: Chosen) -> Tensor:
    rest = rows - rows.mean(0)
    return class_covariance(rest.T @ rest, len(rows) - 1, common, how.weight)


def parts_of(rows: Tensor, common: Tensor, how: Chosen, seed: int, k: int, parts: Sequence[int] = PARTS) -> int:
    """Parts of the mixture of class k with the rows (n, D); 0 where its law of one mean is to be kept.

    Args:
        rows: of the class.
        common: (D, D) W.
        how: share and weight of the law of one mean.
        seed: of the folds.
        k: number of the class.
        parts: numbers that are tried, growing.
    """
    if not parts or len(rows) < ROWS * parts[0]:
        return 0
    judged = some_rows(rows, JUDGED, seed, k)
    data = [(judged[kept], judged[out]) for kept, out in folds(len(judged), seed, "parts", k)]
    tried = [number for number in parts if ROWS * number <= min(len(kept) for kept, _ in data)]
    if not tried:
        return 0
    constant = -0.5 * rows.shape[1] * math.log(2 * math.pi)
    plain = torch.cat([left_out(*pair, common, how.weight, (0.0, how.share)) for pair in data], 1) + constant
    best, best_scores = 0, torch.full_like(plain[0], -math.inf)
    for number in tried:
        scores = torch.cat([_mixture_scores(*pair, common, how, number, seed) for pair in data])
        if float(scores.mean()) > float(best_scores.mean()):
            best, best_scores = number, scores
        elif float(scores.mean()) < float(best_scores.mean()) - BEHIND:
            break
    return best if first_near(torch.stack([plain[0], best_scores, plain[1]]), ERRORS) == 1 else 0


def _mixture_scores(kept: Tensor, out: Tensor, common: Tensor, how: Chosen, parts: int, seed: int) -> Tensor:
    """Log-likelihoods (m,) of the rows ``out`` under a mixture of the rows ``kept``."""
    covariance = _covariance(kept, common, how)
    return fit_mixture(kept, parts, covariance, WEIGHT * kept.shape[1], seed).log_density(out)
