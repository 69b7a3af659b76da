"""Preview grids: a few samples of each class, one row a class, always with the same noise."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from evenscore.data.pixels import png_bytes, to_uint8
from evenscore.denoisers.base import Denoiser
from evenscore.errors import NotFinite
from evenscore.sampling import Sampler, generate, labels_for

COLUMNS = 8
ROWS = 20


QUICK = Sampler(nfe=10)


def preview(denoiser: Denoiser, seed: int, sampler: Sampler = QUICK) -> bytes | None:
    """A grid of at most ``ROWS`` classes as a PNG file.

    Vectors have no picture; nor has a grid of which a sample is not finite: training goes on.
    """
    if len(denoiser.shape) != 3:
        return None
    labels = labels_for([COLUMNS if k < ROWS else 0 for k in range(denoiser.num_classes)])
    device = str(next(denoiser.parameters()).device)
    batches = generate(denoiser, labels, seed=seed, sampler=sampler, device=device)
    try:
        images = to_uint8(torch.cat([batch.x for batch in batches]))
    except NotFinite:
        return None
    return png_bytes(grid(images, COLUMNS))


def grid(images: NDArray[np.uint8], columns: int, gap: int = 1) -> NDArray[np.uint8]:
    """Images (N, H, W, C) side by side, ``columns`` to a row, on white, as one image."""
    count, height, width, channels = images.shape
    rows = -(-count // columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, channels), 255, dtype=np.uint8)
    for i, image in enumerate(images):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet
