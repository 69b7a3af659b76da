"""Losses of the rows: cross-entropy with weights by class, and with a prior in the logits.

Law: weights have mean 1 in every batch, so the scale of the loss, and with it the learning rate, is that of the plain row.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from evenscore.labels import LabelDistribution
from evenscore.objectives.reweighting import Reweighting


def class_weights(labels: LabelDistribution, scheme: str, effective_beta: float) -> Tensor:
    """(K,) weights, float64: 1 / n (``inverse``), or (1 - beta) / (1 - beta^n) (``effective``; Cui et al. 2019, eq. 2)."""
    return Reweighting(scheme=scheme, effective_beta=effective_beta).class_weights(labels)


def log_prior(labels: LabelDistribution) -> Tensor:
    """(K,) log n_k / n, float64; every class needs samples."""
    return labels.probabilities().log()


def row_loss(logits: Tensor, y: Tensor, weights: Tensor | None = None, prior: Tensor | None = None) -> Tensor:
    """The mean loss of a batch.

    Args:
        logits: (B,K).
        y: (B,) labels.
        weights: (K,) by class, brought to mean 1 over the batch; None for none.
        prior: (K,) log prior that is added to the logits; None for none.
    """
    loss = F.cross_entropy(logits if prior is None else logits + prior.to(logits), y, reduction="none")
    if weights is None:
        return loss.mean()
    mine = weights.to(loss)[y]
    return (mine / mine.mean() * loss).mean()


def predicted(scores: Tensor, prior: Tensor, tau: float) -> Tensor:
    """The likeliest class (N,) by scores (N,K) - tau * log prior (Menon et al. 2021, eq. 9, with scores in logits)."""
    return torch.argmax(scores.double() - tau * prior if tau else scores.double(), dim=1)
