"""Inception-style score of class probabilities (Salimans et al. 2016, section 4): sure about each sample, varied over all.

    mean over splits of exp( mean_i KL( p(y | x_i) || mean_j p(y | x_j) ) )

Law: it lies between 1 and the number of classes. It is the Inception score only where the probabilities are those of
Inception. The number of splits is part of it: fewer samples in a split make it smaller. Rows are put in an order of their
own before they are split, so the order in which they come changes nothing; an interval is for the value that samples of
this size give on average.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from evenscore.errors import DataError, UsageError
from evenscore.metrics.base import as_matrix
from evenscore.metrics.interval import Estimate, Resampling
from evenscore.metrics.order import canonical
from evenscore.random import generator

SPLITS = 10


def inception_score(probabilities: Any, *, seed: int, splits: int = SPLITS) -> tuple[float, float]:
    """Mean and standard deviation over splits of probabilities (N,K).

    Raises:
        DataError: rows that are no probabilities.
        UsageError: fewer samples than splits, or no split.
    """
    p = _checked(probabilities, splits)
    scores = torch.stack(
        [_score(part, torch.ones(1, len(part), dtype=torch.float64))[0] for part in _split(p, seed, splits)]
    )
    return float(scores.mean()), float(scores.std()) if splits > 1 else 0.0


def inception_estimate(probabilities: Any, resampling: Resampling, splits: int = SPLITS) -> Estimate:
    """The score of probabilities (N,K) with bootstrap replicates, resampled within splits.

    Raises:
        DataError: rows that are no probabilities.
        UsageError: fewer samples than splits, or no split.
    """
    p = _checked(probabilities, splits)
    parts = _split(p, resampling.seed, splits)
    value, _ = inception_score(p, seed=resampling.seed, splits=splits)
    streams = [Resampling(resampling.seed, resampling.replicates, f"{resampling.stream}:{i}") for i in range(splits)]
    scores = [_score(part, how.counts(len(part), "generated")) for part, how in zip(parts, streams, strict=True)]
    return Estimate(value, torch.stack(scores).mean(0))


def _checked(probabilities: Any, splits: int) -> Tensor:
    p = as_matrix(probabilities, "class probabilities")
    if bool((p < 0).any()) or not torch.allclose(p.sum(1), torch.ones((), dtype=torch.float64), atol=1e-4):
        raise DataError("class probabilities have rows that are negative or do not sum to 1: give probabilities (N, K)")
    if not 1 <= splits <= len(p):
        raise UsageError(f"{splits} splits of {len(p)} samples: give from 1 to {len(p)}")
    return p


def _split(p: Tensor, seed: int, splits: int) -> list[Tensor]:
    order = canonical(p)[torch.randperm(len(p), generator=generator(seed, "inception splits"))]
    return list(torch.tensor_split(p[order], splits))


def _score(p: Tensor, counts: Tensor) -> Tensor:
    """exp of the mean divergence (B,) of rows (n,K) weighed by counts (B,n)."""
    weights = counts / len(p)
    marginal = weights @ p
    negentropy = weights @ torch.xlogy(p, p).sum(1)
    return (negentropy - torch.xlogy(marginal, marginal).sum(1)).exp()
