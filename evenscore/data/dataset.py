"""A data set: samples, one label each, class names, and everything that was said while reading it.

Law: ``values`` are exactly what was read (bytes for images), ``tensor`` is the one way to values in [-1, 1], and the
fingerprint changes if and only if a value, a label or a class name changes. ``test`` is held out and never trained on.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evenscore.data.arrays import as_labels, as_names, as_values
from evenscore.data.pixels import from_uint8
from evenscore.errors import DataError
from evenscore.labels import LabelDistribution


class Skipped(NamedTuple):
    """A file that was left out, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled samples.

    Attributes:
        values: images uint8 (N,H,W,C) with C 1 or 3, or vectors float32 (N,D).
        labels: int64 (N,), in 0 .. K-1.
        class_names: K names.
        name: the specification as it was given.
        files: where each image came from, or None.
        notes: conversions and other remarks, in words.
        skipped: files that were left out.
        test: held-out data of the same shape and classes, or None.

    Raises:
        DataError: shapes, dtypes or labels that do not fit together, or fewer than two classes.
    """

    values: NDArray[Any]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    name: str
    files: tuple[Path, ...] | None = None
    notes: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    test: Dataset | None = None

    def __post_init__(self) -> None:
        _check_values(self)
        _check_labels(self)
        if self.test is not None and (self.test.shape != self.shape or self.test.class_names != self.class_names):
            raise DataError(
                f"{self.name}: the held-out part has shape {self.test.shape} and {self.test.num_classes} classes, "
                f"the training part {self.shape} and {self.num_classes}: give both the same shape and classes"
            )

    @classmethod
    def from_arrays(
        cls,
        values: Any,
        labels: Any,
        class_names: Sequence[Any] | NDArray[Any] | None = None,
        name: str = "arrays",
        test: Dataset | tuple[Any, Any] | None = None,
    ) -> Dataset:
        """Check plain arrays and make a data set of them.

        Args:
            values: uint8 images (N,H,W) or (N,H,W,C), float images in [0, 1] or [-1, 1], or float vectors (N,D).
            labels: integers (N,), every class from 0 to K-1 present.
            class_names: K names; ``"0", "1", ...`` when absent.
            test: a data set, or (values, labels), that is held out; it need not hold every class.

        Raises:
            DataError: what was given, what was expected, what to do.
        """
        array, notes = as_values(values, f"{name}: training values")
        index = as_labels(labels, len(array), f"{name}: training labels")
        names = as_names(class_names, index, name)
        if isinstance(test, tuple):
            test = _held_out(test, names, name)
        made = cls(array, index, names, name, notes=notes, test=test)
        require_every_class(made)
        return made

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def kind(self) -> str:
        """``"image"`` or ``"vector"``."""
        return "image" if self.values.ndim == 4 else "vector"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample as the networks see it: (C,H,W) or (D,)."""
        if self.kind == "vector":
            return (int(self.values.shape[1]),)
        height, width, channels = self.values.shape[1:]
        return (int(channels), int(height), int(width))

    @cached_property
    def distribution(self) -> LabelDistribution:
        """Counts of each class."""
        return LabelDistribution(tuple(np.bincount(self.labels, minlength=self.num_classes).tolist()))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of values, labels and class names (not of file names or held-out data), as hexadecimal."""
        digest = hashlib.sha256(repr((self.values.dtype.str, self.values.shape, self.class_names)).encode())
        digest.update(np.ascontiguousarray(self.values).reshape(-1).view(np.uint8).data)
        digest.update(np.ascontiguousarray(self.labels).view(np.uint8).data)
        return digest.hexdigest()

    def __len__(self) -> int:
        return len(self.labels)

    def tensor(self, indices: NDArray[np.int64] | Sequence[int] | None = None) -> Tensor:
        """Samples as float32: images (B,C,H,W) in [-1, 1], vectors (B,D) as they are; all of them when None."""
        chosen = self.values if indices is None else self.values[np.asarray(indices, dtype=np.int64)]
        return from_uint8(chosen) if self.kind == "image" else torch.from_numpy(chosen.copy())

    def select(self, indices: NDArray[np.int64] | Sequence[int]) -> Dataset:
        """The samples at ``indices``, in that order, with the same classes, notes and held-out part."""
        index = np.asarray(indices, dtype=np.int64)
        files = None if self.files is None else tuple(self.files[i] for i in index)
        return dataclasses.replace(self, values=self.values[index], labels=self.labels[index], files=files)

    def of_class(self, k: int) -> NDArray[np.int64]:
        """Indices of the samples of class ``k``, ascending."""
        return np.where(self.labels == k)[0].astype(np.int64)


def require_every_class(dataset: Dataset) -> None:
    """Refuse a data set in which a class has no samples.

    Raises:
        DataError: names the first empty class.
    """
    empty = [name for name, count in zip(dataset.class_names, dataset.distribution.counts, strict=True) if count == 0]
    if empty:
        raise DataError(
            f"{dataset.name}: class {empty[0]!r} has 0 samples ({len(empty)} of {dataset.num_classes} classes empty): "
            "number the classes without gaps, and give each class samples or leave it out"
        )


def _held_out(test: tuple[Any, Any], names: tuple[str, ...], name: str) -> Dataset:
    array, notes = as_values(test[0], f"{name}: test values")
    return Dataset(array, as_labels(test[1], len(array), f"{name}: test labels"), names, f"{name} (test)", notes=notes)


def _check_values(data: Dataset) -> None:
    values = data.values
    image = values.ndim == 4 and values.dtype == np.uint8 and values.shape[-1] in (1, 3)
    vector = values.ndim == 2 and values.dtype == np.float32
    if not (image or vector) or values.size == 0:
        raise DataError(
            f"{data.name}: values of dtype {values.dtype} and shape {values.shape} cannot be used: "
            "give uint8 (N,H,W,C) with C 1 or 3, or float32 (N,D), none empty"
        )
    if vector and not np.isfinite(values).all():
        raise DataError(f"{data.name}: the vectors hold NaN or infinite values: remove or replace them")


def _check_labels(data: Dataset) -> None:
    labels, classes = data.labels, len(data.class_names)
    if labels.dtype != np.int64 or labels.shape != (len(data.values),):
        raise DataError(
            f"{data.name}: labels of dtype {labels.dtype} and shape {labels.shape} do not fit "
            f"{len(data.values)} samples: give one int64 label for each"
        )
    if classes < 2:
        raise DataError(
            f"{data.name}: only {classes} class found: give at least two classes to learn from unequal labels"
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise DataError(
            f"{data.name}: labels run from {labels.min()} to {labels.max()}, "
            f"but there are {classes} classes: use 0 .. {classes - 1}"
        )
    if data.files is not None and len(data.files) != len(labels):
        raise DataError(
            f"{data.name}: {len(data.files)} files for {len(labels)} samples: give one file for each sample, or none"
        )
