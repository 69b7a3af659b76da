"""Augmentation that does not leak: the network is told what was done to each sample, and nothing is done when sampling.

Law: ``Augmentation(name)(x, generator)`` returns the changed images and an augmentation vector a = (flip, dy, dx) for
each; a = 0 if and only if nothing was done to the image. The generator belongs to the step and fixes the result.
Source of the idea: Karras et al. 2022 (EDM), appendix F.1, non-leaking augmentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from evenscore.errors import UsageError, unknown

AUGMENTATIONS: Mapping[str, str] = {
    "none": "images as they are",
    "flip": "mirrored left and right, half of the time; not for digits, letters or anything with a handedness",
    "crop-shift": "moved by up to 1/8 of the size, half of the time",
    "flip+crop-shift": "both",
}
WIDTH = 3
SHIFT_SHARE = 8


@dataclass(frozen=True)
class Augmentation:
    """A named augmentation.

    ``flip`` mirrors left and right with probability 1/2. ``crop-shift`` moves the image, with probability 1/2, by up to
    1/8 of its height and width (at least 1 pixel) in each direction; what enters at a border repeats the edge.

    Raises:
        UsageError: an unknown name.
    """

    name: str = "none"

    def __post_init__(self) -> None:
        if self.name not in AUGMENTATIONS:
            raise unknown("augmentation", self.name, AUGMENTATIONS)

    def __call__(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Augment a batch.

        Args:
            x: images (B,C,H,W); other shapes only with ``none``.
            generator: on the CPU, for this step.

        Returns:
            The images, and a (B,3), float32: flip in {0, 1}; dy and dx in [-1, 1], positive down and right, in units of
            the largest shift.

        Raises:
            UsageError: an augmentation of images is asked for vectors.
        """
        if self.name == "none":
            return x, torch.zeros(len(x), WIDTH, device=x.device)
        if x.ndim != 4:
            raise UsageError(
                f"augmentation {self.name!r} needs images, but the data are vectors: use augmentation none"
            )
        draws = torch.rand(len(x), 4, generator=generator)
        flip = (draws[:, 0] < 0.5) if "flip" in self.name else torch.zeros(len(x), dtype=torch.bool)
        moved = (draws[:, 1] < 0.5) if "crop-shift" in self.name else torch.zeros(len(x), dtype=torch.bool)
        dy, scaled_dy = _shift(draws[:, 2], moved, x.shape[2])
        dx, scaled_dx = _shift(draws[:, 3], moved, x.shape[3])
        rows = _source(dy, x.shape[2], torch.zeros_like(flip))
        columns = _source(dx, x.shape[3], flip)
        vector = torch.stack([flip.float(), scaled_dy, scaled_dx], dim=1)
        return _gather(x, rows.to(x.device), columns.to(x.device)), vector.to(x.device)


def _shift(draw: Tensor, moved: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Shifts in pixels, int64 (B,), uniform in -m .. m where ``moved``, and the same over m."""
    largest = max(1, size // SHIFT_SHARE)
    pixels = ((draw * (2 * largest + 1)).long() - largest) * moved
    return pixels, pixels.float() / largest


def _source(shift: Tensor, size: int, flip: Tensor) -> Tensor:
    """For each place of a row or column the place it is taken from, (B,size): mirrored first, then moved."""
    place = (torch.arange(size)[None] - shift[:, None]).clamp(0, size - 1)
    return torch.where(flip[:, None], size - 1 - place, place)


def _gather(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    batch = torch.arange(len(x), device=x.device)[:, None, None]
    return x.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()
