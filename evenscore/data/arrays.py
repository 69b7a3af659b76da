"""Plain arrays checked and brought to the two forms a data set has: bytes (N,H,W,C) or float32 vectors (N,D).

Law: what is accepted is either kept as it is or converted with a sentence that says so; all else is refused with one
sentence that names what was given and what was expected.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenscore.errors import DataError, shown


def as_values(values: Any, what: str) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Images as uint8 (N,H,W,C) or vectors as float32 (N,D), and notes on what was converted.

    Args:
        values: uint8 images (N,H,W) or (N,H,W,C) with C 1 or 3, float images in [0, 1] or [-1, 1], or float
            vectors (N,D).
        what: the name used in messages.

    Raises:
        DataError: another shape or dtype, values that are not finite, or float images outside those ranges.
    """
    array = np.asarray(values)
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim not in (2, 4) or array.size == 0 or (array.ndim == 4 and array.shape[-1] not in (1, 3)):
        raise DataError(
            f"{what} have shape {np.shape(values)}: "
            "give images as (N,H,W) or (N,H,W,C) with C 1 or 3, or vectors as (N,D), none empty"
        )
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise DataError(f"{what} hold NaN or infinite values: remove or replace them")
        return _float_images(array, what) if array.ndim == 4 else (_vectors(array, what), ())
    if array.ndim == 4 and array.dtype == np.uint8:
        return array, ()
    expected = "uint8 (0..255) or float in [0, 1]" if array.ndim == 4 else "float32"
    raise DataError(f"{what} have dtype {array.dtype}: convert them to {expected}")


def _vectors(array: NDArray[Any], what: str) -> NDArray[np.float32]:
    if np.abs(array).max() > np.finfo(np.float32).max:
        raise DataError(f"{what} hold values too large for float32: scale them")
    return array.astype(np.float32)


def _float_images(array: NDArray[Any], what: str) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    low, high = float(array.min()), float(array.max())
    if low < -1 or high > 1:
        raise DataError(
            f"{what} are float with values from {low:g} to {high:g}: give uint8 (0..255) or float in [0, 1] or [-1, 1]"
        )
    if low < 0:
        pixels, span = (array.astype(np.float64) + 1) * 127.5, "[-1, 1]"
    else:
        pixels, span = array.astype(np.float64) * 255, "[0, 1]"
    return np.rint(pixels).astype(np.uint8), (f"{what}: float values in {span} converted to 8 bits",)


def as_labels(labels: Any, n: int, what: str) -> NDArray[np.int64]:
    """Labels as int64 (N,); (N,1) is accepted.

    Raises:
        DataError: not integers, not one for each of the ``n`` samples, or negative.
    """
    array = np.asarray(labels)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.dtype.kind not in "iu":
        raise DataError(f"{what} have dtype {array.dtype}: give integer class indices 0, 1, 2, ...")
    if array.ndim != 1 or len(array) != n:
        raise DataError(f"{what} have shape {array.shape} for {n} samples: give exactly one label for each sample")
    if array.size and array.min() < 0:
        raise DataError(f"{what} hold the negative value {array.min()}: number the classes 0, 1, 2, ...")
    if array.size and array.max() > 10_000_000:
        raise DataError(f"{what} hold the value {array.max()}: number the classes 0, 1, 2, ... without gaps")
    return array.astype(np.int64)


def as_names(class_names: Sequence[Any] | NDArray[Any] | None, labels: NDArray[np.int64], what: str) -> tuple[str, ...]:
    """Class names as text, or ``"0", "1", ...`` when none are given.

    Raises:
        DataError: fewer names than classes, or a name twice.
    """
    classes = int(labels.max()) + 1 if len(labels) else 0
    if max(classes, 0 if class_names is None else len(class_names)) > len(labels):
        given = f"labels up to {classes - 1}" if class_names is None else f"{len(class_names)} class names"
        raise DataError(
            f"{what}: {given} for {len(labels)} samples: every class needs a sample, number them without gaps"
        )
    if class_names is None:
        return tuple(str(k) for k in range(classes))
    names = tuple(n.decode("utf-8", "replace") if isinstance(n, bytes) else str(n) for n in class_names)
    if len(names) < classes:
        raise DataError(
            f"{what}: {len(names)} class names for labels up to {classes - 1}: give one name for each class"
        )
    if len(set(names)) < len(names):
        twice = Counter(names).most_common(1)[0][0]
        raise DataError(f"{what}: the class name {shown(twice)} stands twice: give each class its own name")
    return names
