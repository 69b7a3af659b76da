"""Pictures of a method: the first judged samples of each class, and the training image nearest to each.

Law: they are the samples that were judged, not others drawn to look well: of every class the first in order.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from evenscore.checkpoint import write_atomic
from evenscore.data import Dataset, from_uint8, to_uint8
from evenscore.data.archive import arrays
from evenscore.errors import DataError
from evenscore.metrics import CopyDetector
from evenscore.run import Run
from evenscore.sampling import Sampler, generate, labels_for

SHOWN = 12
"""Images of a class."""


@dataclass(frozen=True, eq=False)
class Pictures:
    """Generated images uint8 (N,H,W,C) with their labels (N,), and rows (N,) of the nearest training images."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    nearest: NDArray[np.int64]


def save_pictures(path: Path, run: Run, data: Dataset, sampler: Sampler, per_class: int) -> None:
    """Draw the first samples of each class again, as they were judged, and keep them.

    Raises:
        DataError: the disk is full.
    """
    shown = min(SHOWN, per_class)
    labels = labels_for([shown] * data.num_classes)
    numbers = [k * per_class + i for k in range(data.num_classes) for i in range(shown)]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    batches = generate(
        run.denoiser(), labels, seed=run.config.seed, sampler=sampler, indices=numbers, batch_size=100, device=device
    )
    images = np.concatenate([to_uint8(batch.x) for batch in batches])
    found = CopyDetector(data.tensor(), torch.from_numpy(data.labels)).check(from_uint8(images), labels)
    file = BytesIO()
    np.savez_compressed(file, images=images, labels=labels.numpy(), nearest=found.nearest.numpy())
    write_atomic(path, file.getvalue())


def load_pictures(path: Path) -> Pictures | None:
    """What :func:`save_pictures` kept; None where there is nothing.

    Raises:
        DataError: it is damaged, or of another form.
    """
    if not path.is_file():
        return None
    kept = Pictures(*arrays(path, ("images", "labels", "nearest")))
    if kept.images.ndim != 4 or not len(kept.images) == len(kept.labels) == len(kept.nearest):
        raise DataError(f"{path} holds no pictures of a comparison: remove it")
    return kept
