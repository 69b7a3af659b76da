r"""Bits per dimension, for 8-bit images by uniform dequantisation (Uria et al. 2013; Theis et al. 2016).

A byte v is the value ``x = v / 127.5 - 1``, so one level is ``1 / 127.5`` wide and the cell of v is x plus or minus half
of that. The model's probability of the byte image is the integral of its density p over the cell (D dimensions), and
with u uniform in the cell Jensen's inequality gives

    -log2 P(v) <= E[-log2 p(x + u)] + D log2(127.5)

Law: ``bits_per_dim`` of 8-bit images is ``-log p / (D ln 2) + log2(127.5)``, in the mean an upper bound of the code length
of the bytes, for any density p that integrates to 1. (On the scale ``x = v / 128 - 1`` of other works the offset is 7.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from evenscore.random import generator

LEVELS_PER_UNIT = 127.5
"""8-bit levels in a unit of x."""
BYTE_OFFSET = math.log2(LEVELS_PER_UNIT)


def dequantise(x: Tensor, seed: int, indices: Sequence[int]) -> Tensor:
    """8-bit images in [-1, 1], (B, C, H, W), with uniform noise as wide as a level, float64.

    Args:
        x: values that are whole levels.
        seed: with a sample's index, fixes its noise.
        indices: (B,) number of each sample.
    """
    noisy = x.double()
    for row, index in enumerate(indices):
        source = generator(seed, "dequantise", int(index))
        noise = torch.rand(tuple(x.shape[1:]), generator=source, dtype=torch.float64) - 0.5
        noisy[row] = x[row].double() + noise.to(x.device) / LEVELS_PER_UNIT
    return noisy


def bits_per_dim(log_prob: Tensor, size: int, offset: float) -> Tensor:
    """Bits per dimension (B,) of log-densities (B,) in nats.

    Args:
        log_prob: of samples with ``size`` dimensions.
        size: D.
        offset: :data:`BYTE_OFFSET` for dequantised 8-bit images; 0 for vectors, whose density can exceed 1 and whose bits
            can then be negative.
    """
    return -log_prob / (size * math.log(2)) + offset
