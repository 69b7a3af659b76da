"""Label agreement: how often a classifier gives a sample the label it was made for, overall and by class.

Law: a rate always comes with its number of samples and a 95 % interval; a class without samples has no rate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from evenscore.errors import DataError
from evenscore.metrics.classifier import Classifier, probabilities

Z95 = 1.959963984540054
"""The 97.5 % point of the standard normal law."""


@dataclass(frozen=True)
class Agreement:
    """Shares of samples whose most probable class is their label.

    Attributes:
        overall: over all samples.
        by_class: of each class, None where the class has no samples.
        n_by_class: number of samples of each class.
        interval: Wilson 95 % interval of ``overall``.
        intervals: of each class, None where the class has no samples.
    """

    overall: float
    by_class: tuple[float | None, ...]
    n_by_class: tuple[int, ...]
    interval: tuple[float, float]
    intervals: tuple[tuple[float, float] | None, ...]

    @classmethod
    def of_counts(cls, right: tuple[int, ...], n: tuple[int, ...]) -> Agreement:
        """From the numbers of samples of each class that agree, and of all samples of each class."""
        return cls(
            overall=sum(right) / sum(n),
            by_class=tuple(r / m if m else None for r, m in zip(right, n, strict=True)),
            n_by_class=n,
            interval=wilson(sum(right), sum(n)),
            intervals=tuple(wilson(r, m) if m else None for r, m in zip(right, n, strict=True)),
        )


def wilson(right: int, n: int, z: float = Z95) -> tuple[float, float]:
    """The interval of Wilson (1927) for a share: ``right`` of ``n``, n at least 1."""
    share = right / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def agreement(classifier: Classifier, x: Tensor, y: Tensor) -> Agreement:
    """Agreement of samples ``x`` (N,C,H,W) in [-1, 1] or (N,D) with the labels ``y`` (N,) in 0 .. K-1.

    Raises:
        DataError: no samples, or not one label for each.
    """
    if len(x) == 0 or y.shape != (len(x),):
        raise DataError(f"{len(x)} samples with labels of shape {tuple(y.shape)}: give samples with one label for each")
    y = y.cpu()
    agreeing = y[probabilities(classifier, x).argmax(1) == y]
    right, n = (torch.bincount(labels, minlength=classifier.num_classes) for labels in (agreeing, y))
    return Agreement.of_counts(tuple(right.tolist()), tuple(n.tolist()))
