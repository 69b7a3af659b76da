"""Group normalisation followed by a scale and shift of each row, quick in both memory formats.

    y = (x - m) / sqrt(v + eps) * (w (1 + scale)) + (b (1 + scale) + shift)

with m and v the mean and variance over the positions and channels of a group (Wu & He 2018, "Group Normalization"), w and b
the layer's weight and bias, and scale and shift (B, C) those of a condition (Perez et al. 2018, FiLM).

Law: equal to ``torch.nn.functional.group_norm`` and two products up to rounding, in value and in all derivatives. Moments
are taken in float32, or in the precision of x where that is higher. torch's own kernel needs many times as long on a
processor for tensors whose channels lie next to each other; there the sums over positions are taken channel by channel,
which is one pass, and everything that follows is a product and a sum.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def group_norm(norm: nn.GroupNorm, x: Tensor, scale: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
    """Normalised x (B, C, ...), scaled by ``1 + scale`` (B, C) and moved by ``shift`` (B, C), in the memory format of x."""
    if not _is_interleaved(x):
        return _native(norm, x, scale, shift)
    gain, offset = norm.weight.expand(len(x), -1), norm.bias.expand(len(x), -1)
    if scale is not None and shift is not None:
        gain, offset = gain * (1 + scale), torch.addcmul(offset + shift, norm.bias, scale.to(norm.bias))
    out: Tensor = _Normalise.apply(x, gain, offset, norm.num_groups, norm.eps)  # type: ignore[no-untyped-call]
    return out


class GroupNorm(nn.GroupNorm):
    """``torch.nn.GroupNorm`` computed by :func:`group_norm`."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalised input (B, C, ...)."""
        return group_norm(self, input)


def _is_interleaved(x: Tensor) -> bool:
    """Whether the channels of x lie next to each other in the memory of a processor."""
    return x.device.type == "cpu" and x.stride(1) == 1 and x.shape[1] > 1 and x[0, 0].numel() > 1


def _native(norm: nn.GroupNorm, x: Tensor, scale: Tensor | None, shift: Tensor | None) -> Tensor:
    out = F.group_norm(x, norm.num_groups, norm.weight.to(x.dtype), norm.bias.to(x.dtype), norm.eps)
    if scale is None or shift is None:
        return out
    return torch.addcmul(_over(shift, x), out, 1 + _over(scale, x))


def _over(rows: Tensor, x: Tensor) -> Tensor:
    """(B, C) to broadcast over the positions of x (B, C, ...), in its precision."""
    return rows.to(x.dtype).reshape(*rows.shape, *(1,) * (x.ndim - 2))


def _moments(x: Tensor, groups: int, eps: float) -> tuple[Tensor, Tensor]:
    """Mean and reciprocal standard deviation of the group of each channel, (B, C)."""
    positions, count = tuple(range(2, x.ndim)), x[0].numel() // groups
    sums = torch.stack([x.sum(positions), (x * x).sum(positions)])
    mean, square = _of_groups(sums, groups) / count
    return mean, ((square - mean * mean).clamp_min(0) + eps).rsqrt()


def _of_groups(sums: Tensor, groups: int) -> Tensor:
    """Sums over the channels of each group, given to each of its channels: (..., C) -> (..., C)."""
    parts = sums.reshape(*sums.shape[:-1], groups, -1)
    return parts.sum(-1, keepdim=True).expand_as(parts).reshape(sums.shape)


class _Normalise(torch.autograd.Function):
    """``(x - m) / sqrt(v + eps) * gain + offset`` for gain and offset (B, C)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor, offset: Tensor, groups: int, eps: float) -> Tensor:
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        mean, rate = _moments(wide, groups, eps)
        ctx.save_for_backward(x, gain, mean, rate)
        ctx.groups, ctx.eps = groups, eps
        slope = rate * gain.to(rate)
        return torch.addcmul(_over(offset.to(rate) - mean * slope, wide), wide, _over(slope, wide)).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """With u = gain / sqrt(v + eps), p = sum dy, q = sum dy (x - m) over positions and N values in a group,
        ``dx = u dy - (sum_c u p) / N - (x - m) (sum_c u q) / (N (v + eps))``."""
        x, gain, mean, rate = ctx.saved_tensors
        wide = x.to(rate.dtype)
        if torch.is_grad_enabled():  # a derivative of this derivative is wanted: the moments depend on x
            mean, rate = _moments(wide, ctx.groups, ctx.eps)
        dy, positions = grads[0].to(rate.dtype), tuple(range(2, x.ndim))
        p = dy.sum(positions)
        q = (dy * wide).sum(positions) - mean * p
        slope, count = rate * gain.to(rate), x[0].numel() // ctx.groups
        level, tilt = _of_groups(torch.stack([slope * p, slope * q]), ctx.groups) / count
        tilt = tilt * rate * rate
        moved = torch.addcmul(_over(mean * tilt - level, wide), wide, _over(-tilt, wide))
        dx = torch.addcmul(moved, dy, _over(slope, wide))
        return dx.to(x.dtype), (q * rate).to(gain.dtype), p.to(gain.dtype), None, None
