"""Contrasts between latents of a batch: pulled together inside a class, or only pushed apart.

With unit vectors u_i, similarities ``s_ij = <u_i, u_j> / temperature`` and the rows that take part:

* :func:`supervised`: over positives P(i), the other rows of i's label, and all others A(i),
  ``-1 / |P(i)| sum_{p in P(i)} log( exp s_ip / sum_{a in A(i)} exp s_ia )`` (Khosla et al. 2020, "Supervised Contrastive
  Learning", eq. 2); 0 for a row without a positive;
* :func:`repulsion`: ``temperature log( mean_{a in A(i)} exp s_ia )`` (the uniformity of Wang & Isola 2020, "Understanding
  Contrastive Representation Learning", up to a constant, whose ``t = 2`` is temperature 1/4); 0 for a row alone.

Laws: both are per row, finite for equal latents, and do not depend on the order of the batch.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def supervised(u: Tensor, y: Tensor, takes: Tensor, temperature: float) -> Tensor:
    """(B,) the supervised contrast of each row.

    Args:
        u: (B, F) latents; they are brought to unit length.
        y: (B,) labels.
        takes: (B,) whether a row takes part, as anchor and as one of the others.
        temperature: above 0.
    """
    similar, others = _pairs(u, takes, temperature)
    positive = others & (y[:, None] == y)
    alone = ~positive.any(1)
    log_share = similar - _log_sum(similar, others)[:, None]
    found = -torch.where(positive, log_share, 0.0).sum(1) / positive.sum(1).clamp_min(1)
    return torch.where(alone, torch.zeros_like(found), found)


def repulsion(u: Tensor, takes: Tensor, temperature: float) -> Tensor:
    """(B,) how close each row lies to the others; arguments as in :func:`supervised`."""
    similar, others = _pairs(u, takes, temperature)
    number = others.sum(1)
    found = temperature * (_log_sum(similar, others) - number.clamp_min(1).to(similar).log())
    return torch.where(number > 0, found, torch.zeros_like(found))


def _pairs(u: Tensor, takes: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Similarities (B, B), and which pairs of different rows both take part. No lower precision is let in."""
    unit = F.normalize(u.to(torch.promote_types(u.dtype, torch.float32)), dim=1)
    similar = torch.stack([(row * unit).sum(1) for row in unit]) / temperature
    different = ~torch.eye(len(u), dtype=torch.bool, device=u.device)
    return similar, takes[:, None] & takes & different


def _log_sum(similar: Tensor, others: Tensor) -> Tensor:
    """Log of the sum of exponentials over the others (B,); a finite number where there are none."""
    masked = torch.where(others, similar, -math.inf)
    none = ~others.any(1, keepdim=True)
    return torch.logsumexp(torch.where(none, torch.zeros_like(masked), masked), 1)
