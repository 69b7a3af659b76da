"""F_8 and F_1/8 of the precision-recall curve of two sets of features (Sajjadi et al. 2018).

Both sets are clustered together, 20 clusters for each class; with q and p the shares of generated and reference samples
in each cluster, the curve is, over 1001 angles with slope l = tan(angle),

    precision(l) = sum min(l p, q),     recall(l) = sum min(p, q / l)                      eqs. 3 and 4, Algorithm 1
    F_b = (1 + b^2) precision recall / (b^2 precision + recall), at its largest over the curve

Law: curves are averaged over 10 clusterings, then F is read off; both F are 1 for equal shares and 0 for sets that share no
cluster. F_8 weighs recall, F_1/8 precision. Counting noise keeps both below 1 even for one law, the more the fewer samples,
so an interval is for the value that samples of these sizes give on average. Drawing with replacement would
double that noise, so replicates are subsamples in the same clusterings; what the choice of clusterings adds is measured
by the scatter of the runs.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import torch
from sklearn.cluster import MiniBatchKMeans
from threadpoolctl import threadpool_limits
from torch import Tensor

from evenscore.errors import UsageError
from evenscore.metrics.base import as_pair
from evenscore.metrics.interval import Estimate, Resampling, stretched
from evenscore.random import derive_seed

NAMES = ("f8", "f1/8")
CLUSTERS_PER_CLASS, RUNS, ANGLES, BETA = 20, 10, 1001, 8.0
REPLICATE_ANGLES = 101
"""Angles of a replicate: its F changes in the fourth digit, its scatter not at all."""
AT_ONCE = 2**18
"""Numbers that are compared at once."""


def prd(generated: Any, reference: Any, *, classes: int, seed: int) -> tuple[float, float]:
    """F_8 and F_1/8 of features (N,D) and (M,D) that hold ``classes`` classes.

    Raises:
        DataError: features that do not compare.
        UsageError: fewer samples than clusters.
    """
    found = prd_estimates(generated, reference, Resampling(seed, replicates=0), classes=classes)
    return found["f8"].value, found["f1/8"].value


def prd_estimates(generated: Any, reference: Any, resampling: Resampling, *, classes: int) -> dict[str, Estimate]:
    """``f8`` and ``f1/8`` with replicates from subsamples.

    Raises:
        DataError: features that do not compare.
        UsageError: fewer samples than clusters.
    """
    x, y = as_pair(generated, reference)
    clusters = CLUSTERS_PER_CLASS * classes
    if classes < 1 or min(len(x), len(y)) < clusters:
        raise UsageError(
            f"{clusters} clusters of {len(x)} generated and {len(y)} reference samples: "
            f"give at least {CLUSTERS_PER_CLASS} samples for each class"
        )
    labels = [cluster(torch.cat([x, y]), clusters, derive_seed(resampling.seed, "prd", run)) for run in range(RUNS)]
    ones = torch.ones(1, len(x), dtype=torch.float64), torch.ones(1, len(y), dtype=torch.float64)
    values = _both(*ones, labels, clusters, ANGLES)
    if resampling.replicates == 0:
        return {name: Estimate(float(v), ones[0][0, :0]) for name, v in zip(NAMES, values, strict=True)}
    kept = _masks(len(x), "generated", resampling), _masks(len(y), "reference", resampling)
    found = _both(*kept, labels, clusters, REPLICATE_ANGLES)
    single = zip(*(_both(*ones, [run], clusters, REPLICATE_ANGLES) for run in labels), strict=True)
    estimates = {}
    for name, value, subsampled, runs in zip(NAMES, values, found, single, strict=True):
        estimate = stretched(float(value), subsampled)
        draws = resampling.generator("generated", name)
        choice = torch.randn(resampling.replicates, dtype=torch.float64, generator=draws)
        spread = torch.cat(runs).std() / RUNS**0.5
        estimates[name] = Estimate(estimate.value, estimate.replicates + spread * choice)
    return estimates


def _masks(n: int, side: str, resampling: Resampling) -> Tensor:
    """The subsample of each replicate as weights (B,n) that sum to n."""
    kept = torch.stack([resampling.subset(n, side, b) for b in range(resampling.replicates)]).double()
    return kept * n / kept.sum(1, keepdim=True)


def cluster(rows: Tensor, clusters: int, seed: int) -> Tensor:
    """The cluster of each row (N,D), (N,) int64, by k-means in mini-batches, which are too small for more than a thread."""
    means = MiniBatchKMeans(clusters, n_init=3, batch_size=1024, random_state=seed % 2**32)
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")  # fewer distinct rows than clusters is a collapse, and shown by the result
        return torch.as_tensor(means.fit_predict(rows.numpy())).long()


def curve(q: Tensor, p: Tensor, angles: int = ANGLES) -> tuple[Tensor, Tensor]:
    """Precision and recall (..., angles) of cluster shares of generated ``q`` and reference samples ``p`` (..., clusters)."""
    slopes = torch.tan(torch.linspace(1e-6, math.pi / 2 - 1e-6, angles, dtype=torch.float64))
    few = torch.split(slopes, max(1, AT_ONCE // max(q.numel(), p.numel())))
    precision = torch.cat([torch.minimum(part[:, None] * p[..., None, :], q[..., None, :]).sum(-1) for part in few], -1)
    return precision.clamp_max(1), (precision / slopes).clamp_max(1)


def f_beta(precision: Tensor, recall: Tensor, beta: float) -> Tensor:
    """The largest F over the last axis, 0 where precision and recall are 0."""
    square = beta * beta
    return ((1 + square) * precision * recall / (square * precision + recall).clamp_min(1e-12)).amax(-1)


def _both(w: Tensor, v: Tensor, labels: list[Tensor], clusters: int, angles: int) -> tuple[Tensor, Tensor]:
    """F_8 and F_1/8 (B,) of rows weighed by counts ``w`` (B,N) and ``v`` (B,M), over all clusterings."""
    curves = [
        curve(_shares(w, run[: w.shape[1]], clusters), _shares(v, run[w.shape[1] :], clusters), angles)
        for run in labels
    ]
    precision, recall = (torch.stack(part).mean(0) for part in zip(*curves, strict=True))
    return f_beta(precision, recall, BETA), f_beta(precision, recall, 1 / BETA)


def _shares(weights: Tensor, labels: Tensor, clusters: int) -> Tensor:
    """Share of each cluster (B,clusters) by weights (B,n)."""
    sums = torch.zeros(len(weights), clusters, dtype=torch.float64)
    return sums.index_add_(1, labels, weights) / weights.shape[1]
