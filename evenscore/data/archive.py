"""``.npz`` archives: ``train_images``, ``train_labels``; optionally ``test_images``, ``test_labels``, ``class_names``.

Law: an archive is data only. Nothing in it is ever unpickled, so opening one cannot run code.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenscore.data.dataset import Dataset
from evenscore.errors import DataError

KEYS: Mapping[str, tuple[str, ...]] = {
    "train_images": ("train_images", "images", "x_train"),
    "train_labels": ("train_labels", "labels", "y_train"),
    "test_images": ("test_images", "x_test"),
    "test_labels": ("test_labels", "y_test"),
    "class_names": ("class_names",),
}


def read_archive(path: str | Path, *, name: str | None = None) -> Dataset:
    """Read an ``.npz`` archive of images (N,H,W) or (N,H,W,C), or of float vectors (N,D), with integer labels (N,).

    ``images``/``labels`` and ``x_train``/``y_train`` (``x_test``/``y_test``) are accepted as other names of the keys.

    Raises:
        DataError: not an archive, damaged, pickled content, missing keys, wrong dtype or shape, NaN, float images
            outside [0, 1] and [-1, 1], negative labels, an empty class, or numbers of images and labels that differ.
    """
    path = Path(path)
    name = str(path) if name is None else name
    arrays = _open(path)
    test = (arrays["test_images"], arrays["test_labels"]) if "test_images" in arrays else None
    return Dataset.from_arrays(arrays["train_images"], arrays["train_labels"], arrays.get("class_names"), name, test)


def _open(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of the archive by the names of :data:`KEYS`."""
    if not path.is_file():
        raise DataError(f"archive {str(path)!r} does not exist: give an .npz file with train_images and train_labels")
    try:
        with open(path, "rb") as file:
            is_archive = zipfile.is_zipfile(file)
        if not is_archive:
            raise DataError(
                f"{str(path)!r} is not an .npz archive, or is truncated: "
                "write it with numpy.savez(path, train_images=..., train_labels=...)"
            )
        with np.load(path, allow_pickle=False) as archive:
            keys = _found(path, archive.files)
            return {key: _array(path, archive, stored) for key, stored in keys.items()}
    except (
        OSError,
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        ValueError,
        KeyError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise DataError(
            f"archive {str(path)!r} is damaged or cannot be read ({error}): write it again with numpy.savez"
        ) from error


def _found(path: Path, files: list[str]) -> dict[str, str]:
    """Which stored key stands for which of :data:`KEYS`."""
    keys = {key: stored for key, others in KEYS.items() if (stored := next((o for o in others if o in files), ""))}
    needed = ["train_images", "train_labels"]
    needed += ["test_images", "test_labels"] if "test_images" in keys or "test_labels" in keys else []
    missing = [key for key in needed if key not in keys]
    if missing:
        raise DataError(
            f"archive {str(path)!r} has no {' and no '.join(missing)}, "
            f"only the keys {', '.join(sorted(files)) or '(none)'}: "
            "store train_images and train_labels, and for held-out data test_images and test_labels"
        )
    return keys


def _array(path: Path, archive: Any, key: str) -> NDArray[Any]:
    try:
        array: NDArray[Any] = archive[key]
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise DataError(
            f"archive {str(path)!r}: {key} is an array of Python objects (pickled), "
            "which is never opened because it could run code: store numbers or text"
        ) from error
    if not isinstance(array, np.ndarray) or array.ndim == 0:
        raise DataError(
            f"archive {str(path)!r}: {key} has no entry per sample or class: store an array with numpy.savez"
        )
    return array
