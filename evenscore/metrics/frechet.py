"""Frechet distance of two sets of features: the 2-Wasserstein distance, squared, of normal laws with their moments.

    d = |m1 - m2|^2 + tr C1 + tr C2 - 2 tr (C1 C2)^(1/2)                     Dowson & Landau 1982, eq. 4; Heusel et al. 2017

Law: the last trace is that of the symmetric matrix (A C2 A)^(1/2) with A A^T = C1, the sum of the roots of its
eigenvalues, so nothing is complex, and covariances of any rank are allowed. Covariances divide by n - 1.

Estimated from samples the distance is too large, by about (D + 5) / (4 n) of tr C1 + tr C2 where the laws are alike (see
``base``). :func:`frechet_estimates` gives it as it is, ``frechet``, and with the bias taken off, ``frechet-limit``. The
bias is a series in 1/n, so with d_j the mean distance of the j parts into which both sets are divided at random,

    limit = 3 d_1 - 3 d_2 + d_3

leaves a bias of order 1/n^3 (Richardson; Chong & Forsyth 2020 draw a line in 1/n). To first order the distance moves with
a generated sample x by its influence

    phi(x) = 2 (m1 - m2).(x - m1) + (x - m1)^T (I - T) (x - m1) - tr (I - T) C1,     T = A^-T (A^T C2 A)^(1/2) A^-1,

with T the linear map that carries the first normal law to the second, and with a reference sample likewise. It is taken off
each part, so the limit scatters little more than the distance itself, and what the choice of divisions adds is measured
and is part of its replicates; a bootstrap replicate is the sum of influences
by counts, which needs no decomposition. The influence at estimated moments scatters more than that at the true ones, by
more than the terms of higher order that are left out; so an interval is too wide rather than too narrow where the laws
are nearly alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from evenscore.errors import DataError
from evenscore.metrics.base import as_matrix, as_pair, enough
from evenscore.metrics.interval import Estimate, Resampling

DIVISIONS, FEWER, MANY = 16, 4, 2000
"""How often both sets are divided into halves and thirds; fewer times for sets of many samples, whose bias is small."""


@dataclass(frozen=True)
class FeatureStatistics:
    """Moments of a set of features: all that the Frechet distance needs, in memory that does not grow with the set.

    Attributes:
        count: number of samples.
        mean: (D,), float64.
        scatter: sum of (x - mean)(x - mean)^T, (D,D), float64.
    """

    count: int
    mean: Tensor
    scatter: Tensor

    @classmethod
    def of(cls, features: Any) -> FeatureStatistics:
        """Of a matrix (N,D).

        Raises:
            DataError: no matrix, or entries that are not finite.
        """
        x = as_matrix(features)
        mean = x.mean(0)
        away = x - mean
        return cls(len(x), mean, away.T @ away)

    @classmethod
    def of_batches(cls, batches: Iterable[Any]) -> FeatureStatistics:
        """Of a set that comes in batches (n,D) of any sizes, each seen once.

        Raises:
            DataError: no batch, or one that does not fit.
        """
        total: FeatureStatistics | None = None
        for batch in batches:
            part = cls.of(batch)
            total = part if total is None else total.merge(part)
        if total is None:
            raise DataError("no features were given: give at least one batch")
        return total

    @classmethod
    def of_moments(cls, count: int, mean: Any, covariance: Any) -> FeatureStatistics:
        """Of a given mean (D,) and covariance (D,D) over ``count`` samples, as cached statistics hold them.

        Raises:
            DataError: shapes that do not fit, or fewer than 2 samples.
        """
        centre = torch.as_tensor(mean, dtype=torch.float64)
        spread = torch.as_tensor(covariance, dtype=torch.float64)
        if count < 2 or centre.ndim != 1 or spread.shape != (len(centre), len(centre)):
            raise DataError(
                f"{count} samples, mean {tuple(centre.shape)} and covariance {tuple(spread.shape)}: "
                "give at least 2, (D,) and (D, D)"
            )
        return cls(count, centre, spread * (count - 1))

    def merge(self, other: FeatureStatistics) -> FeatureStatistics:
        """Of both sets together (Chan, Golub & LeVeque 1979).

        Raises:
            DataError: other features.
        """
        if self.mean.shape != other.mean.shape:
            raise DataError(
                f"statistics of {len(self.mean)} and {len(other.mean)} features cannot be merged: use one network"
            )
        count, apart = self.count + other.count, other.mean - self.mean
        between = torch.outer(apart, apart) * (self.count * other.count / count)
        return FeatureStatistics(
            count, self.mean + apart * (other.count / count), self.scatter + other.scatter + between
        )

    @property
    def covariance(self) -> Tensor:
        """(D,D), unbiased.

        Raises:
            DataError: of a single sample.
        """
        if self.count < 2:
            raise DataError("a single sample has no covariance: give at least 2")
        return self.scatter / (self.count - 1)


def frechet_distance(generated: FeatureStatistics, reference: FeatureStatistics) -> float:
    """The distance of the moments, at least 0 and exact to rounding for any ranks.

    Raises:
        DataError: different numbers of features, or a single sample.
    """
    if generated.mean.shape != reference.mean.shape:
        raise DataError(
            f"statistics of {len(generated.mean)} and {len(reference.mean)} features do not compare: use one network"
        )
    return max(0.0, _distance(generated.mean, generated.covariance, reference.mean, reference.covariance))


def _distance(m1: Tensor, c1: Tensor, m2: Tensor, c2: Tensor) -> float:
    factor = _factor(c1)
    root = torch.linalg.eigvalsh(factor.T @ c2 @ factor).clamp_min(0).sqrt().sum()
    return float((m1 - m2).square().sum() + c1.trace() + c2.trace() - 2 * root)


def _factor(covariance: Tensor) -> Tensor:
    """A with A A^T = covariance: Cholesky's where it exists and is sound, else from the eigenvalues."""
    factor: Tensor
    factor, failed = torch.linalg.cholesky_ex(covariance)
    if int(failed) == 0 and float(factor.diagonal().amin()) > 1e-6 * float(factor.diagonal().amax()):
        return factor
    values, vectors = torch.linalg.eigh(covariance)
    factor = vectors * values.clamp_min(0).sqrt()
    return factor


def frechet_estimates(generated: Any, reference: Any, resampling: Resampling) -> dict[str, Estimate]:
    """``frechet`` and ``frechet-limit`` of features (N,D) and (M,D), with replicates.

    ``frechet`` is the distance as estimated, and its replicates scatter as it does over samples of these sizes;
    ``frechet-limit`` estimates that of unlimited samples, and may come out a little below 0. Without replicates there is
    no limit either, and it is left out.

    Raises:
        DataError: features that do not compare.
        UsageError: fewer than 6 samples.
    """
    x, y = as_pair(generated, reference)
    for rows, what in ((x, "a covariance of generated samples"), (y, "a covariance of reference samples")):
        enough(rows, 6, what)
    first, second = FeatureStatistics.of(x), FeatureStatistics.of(y)
    return estimates_of(
        first,
        second,
        len(x),
        lambda: influence(x, first, second),
        lambda part, phi: sixths(x, part, phi),
        y,
        resampling,
    )


Divided = list[tuple[FeatureStatistics, float]]
"""Statistics of six parts of a set, and the sum of influences of each."""


def estimates_of(
    first: FeatureStatistics,
    second: FeatureStatistics,
    n: int,
    influences: Callable[[], Tensor],
    divided: Callable[[Tensor, Tensor], Divided],
    y: Tensor,
    resampling: Resampling,
) -> dict[str, Estimate]:
    """The estimates from what is needed of ``n`` generated samples, which may be too many to be held.

    Args:
        first, second: statistics of the generated samples and of the reference.
        n: how many generated samples there are.
        influences: gives phi of each (n,).
        divided: sixths of them, given the part (n,) of each and phi.
        y: the reference (M, D).
        resampling: of both sides.
    """
    value = frechet_distance(first, second)
    if resampling.replicates == 0:
        return {"frechet": Estimate(value, torch.empty(0, dtype=torch.float64))}
    phi = influences(), influence(y, second, first)
    moved = resampling.sums(phi[0], "generated") / n
    moved += resampling.sums(phi[1], "reference") / len(y)
    times = DIVISIONS if min(n, len(y)) < MANY else FEWER
    divisions = torch.empty(times, dtype=torch.float64)
    for i in range(times):
        division = resampling.generator("division", i)
        mine, theirs = divided(parts_of(n, division), phi[0]), sixths(y, parts_of(len(y), division), phi[1])
        divisions[i] = _divided(mine, theirs)
    limit = 3 * value + float(divisions.mean())
    draws = torch.randn(
        resampling.replicates, dtype=torch.float64, generator=resampling.generator("generated", "choice")
    )
    chosen = draws * float(divisions.std()) / times**0.5
    return {"frechet": Estimate(value, value + moved), "frechet-limit": Estimate(limit, limit + moved + chosen)}


def parts_of(n: int, draws: torch.Generator) -> Tensor:
    """A division of ``n`` rows into sixths at random: the part (n,) of each."""
    part = torch.empty(n, dtype=torch.int64)
    for i, rows in enumerate(torch.randperm(n, generator=draws).tensor_split(6)):
        part[rows] = i
    return part


def sixths(side: Tensor, part: Tensor, influences: Tensor) -> Divided:
    """Statistics of the six parts of rows in memory, with their sums of influences."""
    return [(FeatureStatistics.of(side[part == i]), float(influences[part == i].sum())) for i in range(6)]


def _divided(mine: Divided, theirs: Divided) -> float:
    """d_3 - 3 d_2 of one division of both sides into sixths, influences taken off; halves and thirds are made of them."""
    total = 0.0
    for parts, weight in ((2, -3.0), (3, 1.0)):
        size = 6 // parts
        for start in range(0, 6, size):
            (x, first), (y, second) = (_together(of_side[start : start + size]) for of_side in (mine, theirs))
            distance = _distance(x.mean, x.covariance, y.mean, y.covariance)
            total += weight / parts * (distance - first - second)
    return total


def _together(parts: list[tuple[FeatureStatistics, float]]) -> tuple[FeatureStatistics, float]:
    """Statistics of all parts, and the mean of their influences."""
    statistics = reduce(FeatureStatistics.merge, (part for part, _ in parts))
    return statistics, sum(influence for _, influence in parts) / statistics.count


def influence(x: Tensor, own: FeatureStatistics, other: FeatureStatistics, *, centred: bool = True) -> Tensor:
    """phi of each row of ``x`` (N,D), (N,): how the distance moves with the weight of a sample.

    Its mean is 0 over all rows; ``centred`` False leaves the constant in, where ``x`` is a part of them.
    """
    covariance = own.scatter / own.count
    slope = torch.eye(len(own.mean), dtype=torch.float64) - _transport(covariance, other.covariance)
    away = x - own.mean
    phi = 2 * away @ (own.mean - other.mean) + ((away @ slope) * away).sum(1)
    return phi - phi.mean() if centred else phi


def _transport(c1: Tensor, c2: Tensor) -> Tensor:
    """T with T C1 T = C2 on the directions in which C1 is not degenerate, 0 on the others."""
    values, vectors = torch.linalg.eigh(c1)
    kept = values > 1e-10 * values[-1]
    basis, root = vectors[:, kept], values[kept].sqrt()
    inner, turned = torch.linalg.eigh(root[:, None] * (basis.T @ c2 @ basis) * root)
    middle = (turned * inner.clamp_min(0).sqrt()) @ turned.T
    carried: Tensor = basis @ (middle / root[:, None] / root) @ basis.T
    return carried
