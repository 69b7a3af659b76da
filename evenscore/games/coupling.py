"""Who pulls whom, and how strongly: laws Q over the other players and strengths beta of each player.

Law: Q is a matrix (K, K) with a zero diagonal; ``Q[k, j]`` is what player j weighs in player k's coupling. Rows need not sum
to anything: under ``similarity`` a class that is far from all others is left alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from evenscore.errors import UsageError
from evenscore.labels import LabelDistribution
from evenscore.objectives.coupling import squared_distances


def uniform_law(players: int) -> Tensor:
    """``1 / K`` for each of the others (the paper's Q, which is uniform over all labels)."""
    return (1 - torch.eye(players, dtype=torch.float64)) / players


def train_law(labels: LabelDistribution) -> Tensor:
    """Each of the others by its share of the training samples."""
    law = labels.probabilities().expand(labels.num_classes, -1).clone()
    return law.fill_diagonal_(0)


def similarity_law(means: Tensor, width: float) -> Tensor:
    """``exp(-|m_k - m_j|^2 / (2 width^2)) / K``, not normalised by row.

    Args:
        means: (K, D) class means, of the data or of features of it.
        width: distance at which classes begin to count as far.

    Raises:
        UsageError: a width that is not above 0.
    """
    if not width > 0:
        raise UsageError(f"width={width:g} cannot be used: give a distance above 0")
    near = torch.exp(-torch.cdist(means.double(), means.double()).square() / (2 * width**2))
    return near.fill_diagonal_(0) / len(means)


def noisy_similarity_law(means: Tensor, counts: Sequence[int], covariance: Tensor) -> Tensor:
    """Similarity that allows for how badly a small class's mean is known: ours.

    ``Q_kj = exp(-d_kj^2 / 2) / K`` with the distances of :func:`~evenscore.objectives.coupling.squared_distances`,
    from which the expected error of small classes' means is taken off.

    Args:
        means: (K, D) class means.
        counts: n_k.
        covariance: (D, D) within-class covariance S.
    """
    near = torch.exp(-squared_distances(means, counts, covariance) / 2)
    return near.fill_diagonal_(0) / len(means)


def by_count(kappa: float, counts: Sequence[int]) -> Tensor:
    """Strengths ``kappa / n_k`` (K,): what a class has itself counts as ``n_k`` samples, the others as ``kappa``."""
    return kappa / torch.tensor(counts, dtype=torch.float64)
