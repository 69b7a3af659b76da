"""What every measure of generated samples has in common: its name and direction, its figure, and the protocol behind it.

Law: a figure never stands without its numbers of samples and, where one can be had, its 95 % interval; a figure that
cannot be had honestly has no value and says why. Features are matrices (N,D) of float64, one row a sample.

Below ``least_samples`` a measure is not given. For the Frechet distance this least number grows with the dimension: for
two samples of n from one normal law the estimate is not 0 but, to first order (half the Bures metric at the sampling
error of both covariances),

    sum_ij lambda_i lambda_j (1 + [i = j]) / (n (lambda_i + lambda_j))  +  2 tr C / n,

which with equal eigenvalues is the share (D + 5) / (4 n) of tr C1 + tr C2, the distance of sets that share nothing but
their mean. :data:`LARGEST_BIAS` is the largest share that is allowed: n of at least 5 (D + 5), and of 100 in any case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Literal

import torch
from torch import Tensor

from evenscore.errors import DataError, UsageError, unknown

LARGEST_BIAS = 0.05
"""Largest bias of a Frechet distance, as a share of tr C1 + tr C2, at which it is still given."""
LEAST_FRECHET = 100
"""Least number of samples of a Frechet distance of few features: below, its interval is too narrow."""
LEAST = 20
"""Least number of samples of any measure: an interval from fewer says nothing."""


@dataclass(frozen=True)
class Metric:
    """One measure.

    Attributes:
        name: by which it is asked for.
        direction: whether ``lower`` or ``higher`` is better.
        needs: what it is computed from, ``features``, class ``probabilities``, or the ``run`` itself.
        family: the measures that are computed together with it.
        words: what it says, in a few words.
        lowest, highest: between which its values lie; an interval is cut there.
    """

    name: str
    direction: Literal["lower", "higher"]
    needs: Literal["features", "probabilities", "run"]
    family: str
    words: str
    lowest: float = -float("inf")
    highest: float = float("inf")

    def least_samples(self, dimension: int) -> int:
        """Least number of samples, generated and reference, from which it is given for features of ``dimension`` D."""
        if self.family == "frechet":
            return max(LEAST_FRECHET, ceil((dimension + 5) / (4 * LARGEST_BIAS)))
        return LEAST

    def better(self, first: float, second: float) -> bool:
        """Whether ``first`` is better than ``second``."""
        return first < second if self.direction == "lower" else first > second

    def shown(self, features: str) -> str:
        """The name for readers, with the name of the features: FD-``features``, or FID for the ported Inception-V3."""
        if self.family == "frechet":
            short = "FID" if features == INCEPTION else f"FD-{features}"
            return short if self.name == "frechet" else f"{short}, unlimited samples"
        return f"{self.name}-{features}" if self.needs == "features" else self.name


INCEPTION = "inception-v3"
"""The name of the features of the ported Inception-V3 whose weights were verified by their hash; nothing else is FID."""

_ALL = (
    Metric("frechet", "lower", "features", "frechet", "distance of means and covariances, as estimated", 0.0),
    Metric("frechet-limit", "lower", "features", "frechet", "the same without the bias of a limited sample"),
    Metric("kernel", "lower", "features", "kernel", "squared distance of distributions, cubic kernel, unbiased"),
    Metric("energy", "lower", "features", "energy", "squared energy distance of distributions, unbiased"),
    Metric("precision", "higher", "features", "neighbourhood", "generated samples near the reference", 0.0, 1.0),
    Metric("recall", "higher", "features", "neighbourhood", "reference samples near the generated", 0.0, 1.0),
    Metric("density", "higher", "features", "neighbourhood", "how deep generated samples lie in the reference", 0.0),
    Metric("coverage", "higher", "features", "neighbourhood", "reference samples that have a generated one", 0.0, 1.0),
    Metric("f8", "higher", "features", "prd", "recall-weighted F of the precision-recall curve", 0.0, 1.0),
    Metric("f1/8", "higher", "features", "prd", "precision-weighted F of the precision-recall curve", 0.0, 1.0),
    Metric("inception-score", "higher", "probabilities", "inception_score", "sure and varied class probabilities", 1.0),
)
METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _ALL}
"""Every measure of generated samples by name."""


def find_metric(name: str) -> Metric:
    """The measure of this name.

    Raises:
        UsageError: there is none; the nearest name is given.
    """
    if name not in METRICS:
        raise unknown("metric", name, METRICS)
    return METRICS[name]


@dataclass(frozen=True)
class Figure:
    """One measured number.

    Attributes:
        value: None where it is not given; ``note`` says why.
        low, high: 95 % interval, None where there is none.
        n: samples it was computed from: generated ones, of a likelihood real ones.
        reference_n: reference samples.
        note: what a reader has to know: a refusal with its reason, a subsample.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    reference_n: int
    note: str = ""


@dataclass(frozen=True)
class Protocol:
    """Everything chosen that changes a figure; figures with different protocols do not compare.

    Attributes:
        features: their name; ``dimension`` their number.
        reference: what the generated samples were compared with.
        counts: generated samples of each class; ``reference_counts`` of the reference.
        head, tail: a head class has more than ``head`` training samples, a tail class fewer than ``tail``.
        seed: of resampling and subsampling; ``replicates`` how often was resampled.
        most: samples of a side that measures of pairs see at most.
        neighbours: k of precision, recall, density and coverage.
        sampler: how samples were drawn, empty where it is not known.
        settings: anything else, by name.
    """

    features: str
    dimension: int
    reference: str
    counts: tuple[int, ...]
    reference_counts: tuple[int, ...]
    head: int
    tail: int
    seed: int
    replicates: int
    most: int
    neighbours: int
    sampler: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


def as_matrix(x: Any, what: str = "features") -> Tensor:
    """``x`` as a float64 tensor (N,D) on the CPU.

    Raises:
        DataError: not a matrix with rows and columns, or with values that are not finite.
    """
    matrix = torch.as_tensor(x).detach().to("cpu", torch.float64)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise DataError(f"{what} have shape {tuple(matrix.shape)}: give a matrix (N, D), one row a sample")
    if not bool(matrix.isfinite().all()):
        raise DataError(f"{what} have entries that are not finite: give finite numbers only")
    return matrix


def as_pair(generated: Any, reference: Any) -> tuple[Tensor, Tensor]:
    """Both as matrices (N,D) and (M,D).

    Raises:
        DataError: either is no matrix, or they have different numbers of columns.
    """
    first, second = as_matrix(generated, "generated features"), as_matrix(reference, "reference features")
    if first.shape[1] != second.shape[1]:
        raise DataError(
            f"generated features have {first.shape[1]} columns and reference features {second.shape[1]}: "
            "compute both with the same network"
        )
    return first, second


def enough(x: Tensor, least: int, what: str) -> None:
    """Refuse a sample of fewer than ``least`` rows.

    Raises:
        UsageError: too few.
    """
    if len(x) < least:
        raise UsageError(f"{len(x)} samples are too few for {what}: give at least {least}")
