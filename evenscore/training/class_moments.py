"""Where the classes of a training set lie: means and spread in a few coordinates, measured once before training.

Images are averaged over at most 8 x 8 fields of each channel, vectors taken as they are; then the 16 directions of largest
variance over the training set are kept. Augmentation is not applied. The result is a function of the data alone.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from evenscore.data import Dataset
from evenscore.objectives import ClassMoments

SIDE, COMPONENTS, PART = 8, 16, 4096


def class_moments(data: Dataset) -> ClassMoments:
    """Class means (K, D) and pooled covariance inside the classes (D, D), D at most 16, float64."""
    counts = torch.tensor(data.distribution.counts, dtype=torch.float64)
    first = _coordinates(data, range(1))
    origin, dim = first[0], first.shape[1]
    sums = torch.zeros(data.num_classes, dim, dtype=torch.float64)
    products = torch.zeros(dim, dim, dtype=torch.float64)
    for start in range(0, len(data), PART):
        index = range(start, min(start + PART, len(data)))
        values = _coordinates(data, index) - origin
        sums.index_add_(0, torch.from_numpy(data.labels[start : index.stop]), values)
        products += values.T @ values
    means, mean = sums / counts.clamp_min(1)[:, None], sums.sum(0) / len(data)
    total = products / len(data) - torch.outer(mean, mean)
    within = (products - means.T @ (counts[:, None] * means)) / max(1, len(data) - data.num_classes)
    directions = torch.linalg.eigh(total).eigenvectors[:, -COMPONENTS:]
    return ClassMoments(
        (means - mean) @ directions, data.distribution.counts, _symmetric(directions.T @ within @ directions)
    )


def _coordinates(data: Dataset, index: range) -> Tensor:
    """(n, D) float64 coordinates of samples, before directions are chosen."""
    x = data.tensor(list(index))
    if data.kind == "image":
        x = adaptive_avg_pool2d(x, (min(SIDE, x.shape[2]), min(SIDE, x.shape[3])))
    return x.flatten(1).double()


def _symmetric(matrix: Tensor) -> Tensor:
    return (matrix + matrix.T) / 2
