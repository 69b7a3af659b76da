"""Interpolation between two samples through their latents.

Law: fraction 0 gives back the first sample and fraction 1 the second, to the tolerance of the flow. Between them the
latents lie on the arc of a sphere, where latents of normal law lie; on a straight line they would be too short.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.likelihood.flow import LATENT_TOLERANCE, decode, encode

PARALLEL = 1e-6
"""Where the sine of the angle is smaller, or a latent is zero, the arc is replaced by the line."""


def spherical(first: Tensor, second: Tensor, fraction: float) -> Tensor:
    """Points (B, ...) on the arcs from ``first`` to ``second`` (B, ...), at ``fraction`` of each angle (Shoemake 1985)."""
    a, b = first.flatten(1), second.flatten(1)
    length = a.norm(dim=1) * b.norm(dim=1)
    angle = torch.acos(((a * b).sum(1) / length).nan_to_num(1.0).clamp(-1, 1))[:, None]
    straight = angle.sin() < PARALLEL
    sine = torch.where(straight, torch.ones_like(angle), angle.sin())
    left = torch.where(straight, torch.full_like(angle, 1 - fraction), ((1 - fraction) * angle).sin() / sine)
    right = torch.where(straight, torch.full_like(angle, fraction), (fraction * angle).sin() / sine)
    return (left * a + right * b).reshape(first.shape)


def interpolate(
    denoiser: Denoiser,
    first: Tensor,
    second: Tensor,
    y: Tensor,
    fractions: Sequence[float],
    *,
    tolerance: float = LATENT_TOLERANCE,
) -> Tensor:
    """Samples between each ``first`` and ``second``, (F, B, *shape), float64.

    Args:
        denoiser: gives the flow.
        first: (B, *shape) samples.
        second: (B, *shape) samples.
        y: (B,) labels of both ends and of what lies between them; the null label for ends of different classes.
        fractions: F places, 0 for ``first`` and 1 for ``second``.
        tolerance: of the flow, as for :func:`~evenscore.likelihood.flow.encode`.

    Raises:
        UsageError: shapes, labels or a tolerance that do not fit.
        EvenscoreError: the flow cannot be followed.
    """
    start, end = (encode(denoiser, x, y, tolerance=tolerance) for x in (first, second))
    between = [decode(denoiser, spherical(start, end, f), y, tolerance=tolerance) for f in fractions]
    return torch.stack(between) if between else start.new_empty(0, *start.shape)
