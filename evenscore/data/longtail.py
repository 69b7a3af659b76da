r"""Long-tailed subsets of a data set, as the literature makes them (Cao et al. 2019, LDAM; Qin et al. 2023, CBDM).

Law: with C classes, imbalance factor f and n_max samples in the largest class, class c keeps

    exp:   n_c = int(n_max * (1/f) ** (c / (C-1)))        step:  n_c = n_max for c < C/2, int(n_max / f) else

samples: those that come first after a shuffle of the class by ``numpy.random.RandomState(seed)``, classes 0 .. C-1 one
after the other, written class by class. CIFAR-10 at factor 100 gives 5000 2997 1796 1077 645 387 232 139 83 50.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evenscore.data.dataset import Dataset
from evenscore.errors import DataError, UsageError, unknown

PROFILES = ("exp", "step")
ORDERS = ("as-is", "reversed")


@dataclass(frozen=True)
class LongTail:
    """A long-tailed construction.

    Attributes:
        factor: largest over smallest class, at least 1.
        profile: ``"exp"`` or ``"step"``.
        seed: of the shuffle that chooses the samples, 0 .. 2**32 - 1.
        max_per_class: upper bound of n_max, or None.
        order: ``"as-is"``: class 0 is the largest; ``"reversed"``: the last class is.

    Raises:
        UsageError: an unknown word, or a number out of range.
    """

    factor: float
    profile: str = "exp"
    seed: int = 0
    max_per_class: int | None = None
    order: str = "as-is"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.factor) and self.factor >= 1):
            raise UsageError(
                f"long-tail factor {self.factor:g}: give a number of at least 1, the largest class over the smallest"
            )
        if self.profile not in PROFILES:
            raise unknown("long-tail profile", self.profile, PROFILES)
        if self.order not in ORDERS:
            raise unknown("class order", self.order, ORDERS)
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"long-tail seed {self.seed}: give a whole number from 0 to 4294967295")
        if self.max_per_class is not None and self.max_per_class < 1:
            raise UsageError(f"largest number per class {self.max_per_class}: give a whole number of at least 1")

    def __call__(self, dataset: Dataset) -> Dataset:
        """The long-tailed subset; held-out data stay as they are.

        Raises:
            DataError: a class would be left with 0 samples.
        """
        have = dataset.distribution.counts
        n_max = min(max(have), self.max_per_class or max(have))
        wanted = long_tail_counts(n_max, len(have), self)
        counts = tuple(min(h, w) for h, w in zip(have, wanted, strict=True))
        empty = [name for name, n in zip(dataset.class_names, counts, strict=True) if n == 0]
        if empty:
            raise DataError(
                f"{dataset.name}: at factor {self.factor:g} class {empty[0]!r} would have 0 of {n_max} samples "
                f"({len(empty)} classes are empty): give a factor below {n_max}"
            )
        part = dataset.select(long_tail_indices(dataset.labels, counts, self.seed))
        return dataclasses.replace(part, notes=(*dataset.notes, *_notes(dataset, counts, wanted)))


def long_tail_counts(n_max: int, num_classes: int, construction: LongTail) -> tuple[int, ...]:
    """How many samples each class is to have."""
    imb = 1 / construction.factor
    if construction.profile == "exp":
        counts = [int(n_max * (imb ** (c / (num_classes - 1.0)))) for c in range(num_classes)]
    else:
        counts = [n_max if 2 * c < num_classes else int(n_max * imb) for c in range(num_classes)]
    return tuple(counts if construction.order == "as-is" else counts[::-1])


def long_tail_indices(labels: NDArray[np.int64], counts: Sequence[int], seed: int = 0) -> NDArray[np.int64]:
    """Indices of the samples that are kept, class by class, in the order of the shuffle."""
    random = np.random.RandomState(seed)
    kept = []
    for c, n in enumerate(counts):
        index = np.where(labels == c)[0]
        random.shuffle(index)
        kept.append(index[:n])
    return np.concatenate(kept).astype(np.int64)


def _notes(dataset: Dataset, counts: Sequence[int], wanted: Sequence[int]) -> tuple[str, ...]:
    capped = [f"{name} {n} of {w}" for name, n, w in zip(dataset.class_names, counts, wanted, strict=True) if n < w]
    if not capped:
        return ()
    more = f" and {len(capped) - 5} more" if len(capped) > 5 else ""
    return (
        "the classes are unequal from the start, so these have fewer samples than the profile asks: "
        f"{', '.join(capped[:5])}{more}",
    )
