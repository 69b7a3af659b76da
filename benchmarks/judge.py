"""What a judge (:mod:`evenscore.features.judge`) says of generated images: label agreement, and a Frechet distance.

The distance is called "FD-judge", never FID. A judge is an instrument of measurement: nothing is trained or chosen on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evenscore.data import from_uint8
from evenscore.features.judge import Judge
from evenscore.metrics.frechet import FeatureStatistics, frechet_distance


@dataclass(frozen=True)
class Reading:
    """What a judge says of images: pooled features (N, D) in float64, and the class of each."""

    features: NDArray[np.float64]
    classes: NDArray[np.int64]


def read(judge: Judge, images: NDArray[np.uint8]) -> Reading:
    """Judge images uint8 (N, H, W, C)."""
    seen = judge(from_uint8(images))
    assert seen.probabilities is not None
    return Reading(seen.features.double().numpy(), seen.probabilities.argmax(1).numpy())


def agreement(reading: Reading, labels: NDArray[np.int64]) -> dict[str, float | list[float]]:
    """Share of images that the judge gives to their own class: overall, by class, and in the worst class."""
    right = reading.classes == labels
    by_class = [round(float(right[labels == k].mean()), 4) for k in np.unique(labels)]
    return {"overall": round(float(right.mean()), 4), "worst": min(by_class), "by_class": by_class}


def frechet(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Frechet distance between Gaussians fitted to two feature sets (N, D)."""
    return frechet_distance(FeatureStatistics.of(a), FeatureStatistics.of(b))
