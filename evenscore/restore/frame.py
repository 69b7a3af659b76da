"""Frames: orthonormal coordinates in which a part of a sample is known exactly and the rest is not.

Law: ``u = Q x`` with ``Q^T Q = I``, so the noise of a process is standard normal in a frame as it is in pixels, and
``u_t = alpha u_0 + sigma (Q eps)``: whatever is said of known pixels holds for known coordinates of any frame. This is how
colourisation becomes inpainting (Song et al. 2021, "Score-Based Generative Modeling through SDEs", appendix I.3).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from evenscore.errors import UsageError

LUMINANCE = (0.299, 0.587, 0.114)
"""Grey of red, green and blue as image files mean it (ITU-R BT.601)."""
TOLERANCE = 1e-5


@dataclass(frozen=True, eq=False)
class Frame:
    """An orthonormal change of coordinates; without a matrix, the pixels themselves.

    Attributes:
        matrix: (C, C), which mixes the channels of every place, or (D, D), which mixes all D numbers of a sample; None
            for the identity. Where C = D the two are the same.

    Raises:
        UsageError: the matrix is not square or not orthonormal.
    """

    matrix: Tensor | None = None

    def __post_init__(self) -> None:
        if self.matrix is None:
            return
        square = self.matrix.ndim == 2 and self.matrix.shape[0] == self.matrix.shape[1]
        if not square or not _distance_from_identity(self.matrix @ self.matrix.T) <= TOLERANCE:
            raise UsageError(
                f"a matrix of shape {tuple(self.matrix.shape)} is no change of orthonormal coordinates: "
                "give a square one whose rows have length 1 and are orthogonal"
            )

    def forward(self, x: Tensor) -> Tensor:
        """Coordinates ``Q x`` of samples (B, *shape), in the same shape."""
        return x if self.matrix is None else _apply(self.matrix, x)

    def inverse(self, u: Tensor) -> Tensor:
        """Samples ``Q^T u`` of coordinates (B, *shape)."""
        return u if self.matrix is None else _apply(self.matrix.T, u)

    def to(self, like: Tensor) -> Frame:
        """This frame with the dtype and device of ``like``."""
        return self if self.matrix is None else Frame(self.matrix.to(like))


PIXELS = Frame()
"""The samples as they are."""


def channel_frame(weights: Sequence[float] = LUMINANCE) -> Frame:
    """A frame of the channels whose first coordinate is ``w . x / |w|``; the others span what a grey image leaves open.

    Args:
        weights: share of each channel in the grey value; (1/3, 1/3, 1/3) is the frame of the paper.

    Raises:
        UsageError: no weights, or all of them zero.
    """
    w = torch.tensor(list(weights), dtype=torch.float64)
    if not len(w) or not float(w.norm()) > 0:
        raise UsageError(f"grey weights {tuple(weights)} make no grey: give a positive share of each channel")
    largest = int(w.abs().argmax())
    others = [i for i in range(len(w)) if i != largest]
    basis = torch.cat([w[:, None], torch.eye(len(w), dtype=torch.float64)[:, others]], 1)
    q, _ = torch.linalg.qr(basis)
    return Frame((q * torch.sign(q[:, 0] @ w)).T.contiguous())


def _distance_from_identity(matrix: Tensor) -> float:
    return float((matrix - torch.eye(len(matrix)).to(matrix)).abs().max())


def _apply(matrix: Tensor, x: Tensor) -> Tensor:
    """Each row of ``matrix`` against the channels, or against all numbers of a sample."""
    matrix = matrix.to(x)
    if x.ndim > 1 and len(matrix) == x.shape[1]:
        return torch.einsum("ij,bj...->bi...", matrix, x)
    if len(matrix) == math.prod(x.shape[1:]):
        return (x.flatten(1) @ matrix.T).reshape(x.shape)
    raise UsageError(
        f"a frame of {len(matrix)} coordinates does not fit samples of shape {tuple(x.shape[1:])}: "
        f"give one of {x.shape[1]} channels or of all {math.prod(x.shape[1:])} numbers"
    )
