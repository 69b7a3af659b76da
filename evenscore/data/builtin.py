"""Built-in data: ``digits``, real scans of handwritten digits (8x8, grey) that come with scikit-learn.

Law: the held-out part is fixed. Of each class, in the order of ``numpy.random.RandomState(0).permutation`` (classes 0
to 9 one after the other), the last 30 % (rounded down) are held out, whatever else is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenscore.data.dataset import Dataset

HELD_OUT_SHARE = 0.3


def digits(name: str = "digits") -> Dataset:
    """The 1797 digits of scikit-learn: values 0..16 scaled to 0..255, 10 classes of about 125 each for training."""
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    values = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., None]
    labels = bunch.target.astype(np.int64)
    train, test = stratified_split(labels, HELD_OUT_SHARE)
    return Dataset.from_arrays(values[train], labels[train], None, name, (values[test], labels[test]))


def stratified_split(
    labels: NDArray[np.int64], share: float, seed: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of a training part and of a held-out part with ``share`` of each class (rounded down), both ascending."""
    random = np.random.RandomState(seed)
    train, test = [], []
    for k in range(int(labels.max()) + 1):
        index = random.permutation(np.where(labels == k)[0])
        cut = len(index) - int(len(index) * share)
        train.append(index[:cut])
        test.append(index[cut:])
    return np.sort(np.concatenate(train)), np.sort(np.concatenate(test))


BUILTIN: Mapping[str, Callable[[str], Dataset]] = {"digits": digits}
