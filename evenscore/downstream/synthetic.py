"""Reading the synthetic samples of a comparison, and the real test part that they never enter.

Law: real training data and test data come from the data set alone; all that is read from the other folder or archive counts as
synthetic, and of a folder whose metadata mark images as synthetic or real only the synthetic ones. A test sample that equals a
training or synthetic sample to the byte is left out of the test.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from evenscore.data import Dataset, to_uint8
from evenscore.errors import DataError
from evenscore.evaluation import Generated, of_files
from evenscore.run import Run


def read_synthetic(path: Path, data: Dataset) -> Dataset:
    """The synthetic samples in a balanced folder, a folder by class, or an archive, labelled as the data are.

    Raises:
        DataError: it cannot be read, is a run, holds no synthetic samples, a class that the data lack, or samples of another
            shape.
    """
    if Run.exists(path):
        raise DataError(
            f"{path} is a run, not its samples: give a folder that `evenscore sample` or `balance` made of it"
        )
    found = of_files(path)
    strange = [name for name in found.class_names if name not in data.class_names]
    if strange:
        raise DataError(
            f"{found.name} has the class {strange[0]!r} that {data.name} lacks: give synthetic samples of the classes "
            f"{', '.join(data.class_names[:5])}{', ...' if data.num_classes > 5 else ''}"
        )
    if found.shape != data.shape:
        raise DataError(
            f"{found.name} holds samples of shape {found.shape}, and {data.name} of shape {data.shape}: give synthetic "
            "samples with the channels and size of the data, or the data as DATA:size=HEIGHTxWIDTH"
        )
    return _in_memory(found, data)


def _in_memory(found: Generated, data: Dataset) -> Dataset:
    place = torch.tensor([data.class_names.index(name) for name in found.class_names])
    parts = list(found.parts())
    values = [to_uint8(part.x) if data.kind == "image" else part.x.numpy() for part in parts]
    labels = torch.cat([place[part.labels] for part in parts]).numpy()
    return Dataset(np.concatenate(values), labels, data.class_names, found.name)


def held_out(data: Dataset, synthetic: Dataset) -> tuple[Dataset, tuple[str, ...]]:
    """The test part without exact copies of training or synthetic samples, and what a reader has to know of it.

    Raises:
        DataError: the data have no held-out part, or nothing of it is left.
    """
    test = data.test
    if test is None:
        raise DataError(
            f"{data.name} has no held-out part to test classifiers on: add test_images and test_labels to the archive, or a "
            "folder test beside train"
        )
    seen = {row.tobytes() for part in (data, synthetic) for row in part.values}
    fresh = np.array([row.tobytes() not in seen for row in test.values])
    if not fresh.any():
        raise DataError(f"every held-out sample of {data.name} equals a training sample: give other held-out data")
    notes = [f"{int((~fresh).sum())} held-out samples equal training or synthetic ones and were left out"]
    kept = test.select(np.flatnonzero(fresh))
    return kept, (*(notes if not fresh.all() else ()), *_unequal(kept))


def _unequal(test: Dataset) -> tuple[str, ...]:
    counts = test.distribution.counts
    empty = [name for name, count in zip(test.class_names, counts, strict=True) if count == 0]
    notes = [f"no held-out samples of {', '.join(empty)}: left out of every mean"] if empty else []
    if len({count for count in counts if count}) > 1:
        notes.append(
            f"the held-out part has from {min(c for c in counts if c)} to {max(counts)} samples of a class: figures are means "
            "of the recalls of the classes, so each class counts alike"
        )
    return tuple(notes)
