"""Losses against values computed by hand."""

from __future__ import annotations

import math

import pytest
import torch

from evenscore.downstream.losses import class_weights, log_prior, predicted, row_loss
from evenscore.labels import LabelDistribution

LABELS = LabelDistribution((6, 3, 1))
LOGITS = torch.tensor([[1.0, 0.0, -1.0], [0.5, 0.5, 2.0]])
Y = torch.tensor([0, 1])


def entropy(logits: list[float], k: int) -> float:
    return math.log(sum(math.exp(z) for z in logits)) - logits[k]


def test_the_plain_loss_is_the_mean_cross_entropy() -> None:
    expected = (entropy([1.0, 0.0, -1.0], 0) + entropy([0.5, 0.5, 2.0], 1)) / 2
    assert float(row_loss(LOGITS, Y)) == pytest.approx(expected, rel=1e-6)


def test_balanced_softmax_by_hand() -> None:
    """-log of n_y e^z_y / sum_k n_k e^z_k (Ren et al. 2020, eq. 4)."""

    def balanced(logits: list[float], k: int) -> float:
        shares = [n * math.exp(z) for n, z in zip(LABELS.counts, logits, strict=True)]
        return -math.log(shares[k] / sum(shares))

    expected = (balanced([1.0, 0.0, -1.0], 0) + balanced([0.5, 0.5, 2.0], 1)) / 2
    assert float(row_loss(LOGITS, Y, prior=log_prior(LABELS))) == pytest.approx(expected, rel=1e-6)


def test_balanced_softmax_of_equal_classes_is_the_plain_loss() -> None:
    even = log_prior(LabelDistribution((4, 4, 4)))
    torch.testing.assert_close(row_loss(LOGITS, Y, prior=even), row_loss(LOGITS, Y))


def test_weights_by_hand_have_mean_one_in_the_batch() -> None:
    """Weights 1/6 and 1/3 are 2/3 and 4/3 of their mean."""
    weights = class_weights(LABELS, "inverse", 0.9)
    expected = (2 / 3 * entropy([1.0, 0.0, -1.0], 0) + 4 / 3 * entropy([0.5, 0.5, 2.0], 1)) / 2
    assert float(row_loss(LOGITS, Y, weights)) == pytest.approx(expected, rel=1e-6)
    same = torch.tensor([2, 2])
    torch.testing.assert_close(row_loss(LOGITS, same, weights), row_loss(LOGITS, same))


def test_effective_numbers_by_hand() -> None:
    """(1 - 0.9) / (1 - 0.9^n) for n = 6, 3 and 1, up to a factor."""
    weights = class_weights(LABELS, "effective", 0.9)
    by_hand = torch.tensor([0.1 / (1 - 0.9**n) for n in (6, 3, 1)], dtype=torch.float64)
    torch.testing.assert_close(weights / weights[2], by_hand)


def test_post_hoc_adjustment_by_hand() -> None:
    """z - tau log prior (Menon et al. 2021): with shares 0.6, 0.3 and 0.1 the third class wins from tau = 1 on."""
    scores, prior = torch.tensor([[1.0, 0.0, -0.5]]), log_prior(LABELS)
    torch.testing.assert_close(prior.exp(), torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64))
    adjusted = [1.0 - math.log(0.6), 0.0 - math.log(0.3), -0.5 - math.log(0.1)]
    assert adjusted.index(max(adjusted)) == 2
    assert predicted(scores, prior, 1.0).tolist() == [2]
    assert predicted(scores, prior, 0.5).tolist() == [0]
    assert predicted(scores, prior, 0.0).tolist() == [0]
