"""The gate: which generated samples may stand in a balanced set.

Law: a sample is refused if it is a near-copy of a training image, or if a classifier trained on the real data is
confident that it belongs to another class; every refusal is counted under its reason. What passes carries its scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evenscore.data import Dataset
from evenscore.metrics import Classifier, CopyDetector, fit_classifier, probabilities
from evenscore.ranks import current

FEWEST = 5
"""A class with fewer real samples is not judged by the classifier: it cannot know the class."""


@dataclass(frozen=True)
class GateSettings:
    """How strict the gate is.

    Attributes:
        copy_ratio: a sample is a near-copy when it is closer to a training image than this share of that image's
            distance to its nearest fellow; 0 lets copies pass.
        confidence: probability of another class from which a sample is refused; above 1 lets all pass.
    """

    copy_ratio: float = 0.5
    confidence: float = 0.9


@dataclass(frozen=True)
class Verdict:
    """What the gate says of a batch; all arrays have one entry a sample.

    Attributes:
        copy: true where a sample is a near-copy.
        mislabelled: true where it is confidently of another class (and no copy).
        ratio: distance to the nearest training image in units of that image's own distance to its nearest fellow.
        nearest: index of that training image.
        probability: of the sample's own class, by the classifier.
    """

    copy: NDArray[np.bool_]
    mislabelled: NDArray[np.bool_]
    ratio: NDArray[np.float64]
    nearest: NDArray[np.int64]
    probability: NDArray[np.float64]

    @property
    def passed(self) -> NDArray[np.bool_]:
        return ~(self.copy | self.mislabelled)


def check_shape(data: Dataset) -> None:
    """Refuse data that the gate could not judge, before any work is done.

    Raises:
        UsageError: images smaller than the classifier takes.
    """
    Classifier(data.shape, data.num_classes)


class Gate:
    """Judges samples against a training set.

    Args:
        data: the real, unequal training data.
        settings: how strict.
        seed: of the classifier.
    """

    def __init__(self, data: Dataset, settings: GateSettings, seed: int) -> None:
        x, y = data.tensor(), torch.from_numpy(data.labels)
        self.settings = settings
        self.copies = CopyDetector(x, y, settings.copy_ratio)
        self.classifier = fit_classifier(x, y, data.num_classes, seed=seed)
        current().copy([*self.classifier.parameters(), *self.classifier.buffers()])  # one gate, whatever the machines
        self.known = np.array([count >= FEWEST for count in data.distribution.counts])

    def judge(self, x: Tensor, labels: Tensor) -> Verdict:
        """Judge samples (B, C, H, W) in [-1, 1] with their labels (B,)."""
        found = self.copies.check(x, labels)
        chance = probabilities(self.classifier, x).double()
        own = chance.gather(1, labels[:, None])[:, 0]
        rival = chance.scatter(1, labels[:, None], 0.0).amax(1)
        copy = np.asarray(found.is_copy, dtype=np.bool_)
        wrong = np.asarray(rival >= self.settings.confidence) & self.known[labels.numpy()] & ~copy
        ratio, nearest = np.asarray(found.ratio, dtype=np.float64), np.asarray(found.nearest, dtype=np.int64)
        return Verdict(copy, wrong, ratio, nearest, own.numpy())
