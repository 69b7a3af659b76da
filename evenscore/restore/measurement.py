"""What is known of a damaged sample: some of its coordinates in a frame, exactly and without noise.

Law: ``values = known * (Q x0)``; a restoration must return samples whose known coordinates are these values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from evenscore.errors import UsageError
from evenscore.restore.frame import LUMINANCE, PIXELS, Frame, channel_frame


@dataclass(frozen=True, eq=False)
class Measurement:
    """A batch of observations.

    Attributes:
        values: (B, *shape) coordinates in the frame; where they are unknown, what stands here is not looked at.
        known: (B, *shape) or (1, *shape) booleans, true where the coordinate is known.
        frame: the coordinates.

    Raises:
        UsageError: shapes that do not fit, or values that are not finite where they are known.
    """

    values: Tensor
    known: Tensor
    frame: Frame = PIXELS

    def __post_init__(self) -> None:
        rows, shape = len(self.values), self.values.shape[1:]
        if self.known.dtype != torch.bool or self.known.shape[1:] != shape or len(self.known) not in (1, rows):
            raise UsageError(
                f"a mask of {self.known.dtype} and shape {tuple(self.known.shape)} does not fit observations "
                f"{tuple(self.values.shape)}: give booleans for one sample or for every row"
            )
        if not bool(torch.isfinite(self.values.where(self.known, torch.zeros_like(self.values))).all()):
            raise UsageError("a known value is not finite: mark it as unknown, or repair it")

    def __len__(self) -> int:
        return len(self.values)

    @classmethod
    def observe(cls, x: Tensor, known: Tensor, frame: Frame = PIXELS) -> Measurement:
        """What ``known`` shows of samples ``x`` (B, *shape) in a frame; ``known`` may lack the batch axis."""
        mask = known if known.ndim == x.ndim else known[None]
        return cls(frame.forward(x), mask, frame)

    @property
    def mask(self) -> Tensor:
        """``known`` for every row, (B, *shape)."""
        return self.known.expand(self.values.shape)

    def impose(self, x: Tensor, coordinates: Tensor) -> Tensor:
        """Samples ``x`` (B, *shape) with their known coordinates taken from ``coordinates`` (B, *shape)."""
        return self.frame.inverse(torch.where(self.known, coordinates, self.frame.forward(x)))

    def misfit(self, x: Tensor) -> Tensor:
        """``values - Q x`` where known, 0 elsewhere, (B, *shape)."""
        return torch.where(self.known, self.values - self.frame.forward(x), torch.zeros_like(x))

    def rows(self, part: slice) -> Measurement:
        """The observations of some rows."""
        return Measurement(self.values[part], self.known if len(self.known) == 1 else self.known[part], self.frame)

    def repeat(self, times: int) -> Measurement:
        """Every row ``times`` times, one after the other."""
        known = self.known.clone() if len(self.known) == 1 else self.known.repeat_interleave(times, 0)
        return Measurement(self.values.repeat_interleave(times, 0), known, self.frame)

    def to(self, device: torch.device) -> Measurement:
        """On a device."""
        values = self.values.to(device)
        return Measurement(values, self.known.to(device), self.frame.to(values))


def inpainting(images: Tensor, known: Tensor) -> Measurement:
    """The pixels of images (B, C, H, W) that a mask leaves.

    Args:
        images: with any finite values where they are unknown.
        known: booleans that broadcast against the images, such as (H, W) or (B, 1, H, W).

    Raises:
        UsageError: a mask that does not fit.
    """
    try:
        mask = torch.broadcast_to(known, images.shape)
    except RuntimeError:
        raise UsageError(
            f"a mask of shape {tuple(known.shape)} does not fit images {tuple(images.shape)}: give (H, W) booleans"
        ) from None
    return Measurement(images, mask)


def colourisation(grey: Tensor, weights: Sequence[float] = LUMINANCE) -> Measurement:
    """Grey images (B, 1, H, W) in [-1, 1] seen as the first channel of a rotated colour image (B, C, H, W).

    Args:
        grey: ``sum_c weights_c x_c`` of the wanted image x.
        weights: share of each channel, summing to 1.

    Raises:
        UsageError: not one channel, or weights that make no grey.
    """
    if grey.ndim != 4 or grey.shape[1] != 1:
        raise UsageError(f"grey images have shape {tuple(grey.shape)}: give (B, 1, H, W)")
    frame = channel_frame(weights)
    length = sum(w * w for w in weights) ** 0.5
    values = torch.zeros(len(grey), len(weights), *grey.shape[2:], dtype=grey.dtype, device=grey.device)
    values[:, :1] = grey / length
    known = torch.zeros(values.shape[1:], dtype=torch.bool, device=grey.device)
    known[0] = True
    return Measurement(values, known[None], frame.to(values))
