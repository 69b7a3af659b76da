"""``.npz`` archives: ``train_images``, ``train_labels``; optionally ``test_images``, ``test_labels``, ``class_names``.

Law: an archive is data only. Nothing in it is ever unpickled, so opening one cannot run code; and no array is read before its
header is known to tell the truth about its size, so a small file cannot ask for much memory.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from evenscore.data.dataset import Dataset
from evenscore.errors import DataError, shown
from evenscore.reading import open_regular

KEYS: Mapping[str, tuple[str, ...]] = {
    "train_images": ("train_images", "images", "x_train"),
    "train_labels": ("train_labels", "labels", "y_train"),
    "test_images": ("test_images", "x_test"),
    "test_labels": ("test_labels", "y_test"),
    "class_names": ("class_names",),
}
MAX_BYTES = 16 * 2**30
"""Largest array that is read."""
FREE_BYTES, MAX_RATIO = 256 * 2**20, 200
"""An array larger than the first may not be more than the second times as large as its compressed form."""
LISTED = 10
"""Stored names that a sentence lists."""


class Header(NamedTuple):
    """Shape and type of an array, how it is stored, and its bytes."""

    shape: tuple[int, ...]
    by_columns: bool
    dtype: np.dtype[Any]
    size: int


@dataclass(frozen=True)
class Archive:
    """An open archive; made by :func:`opened`.

    Attributes:
        path: the file.
        zip: it, opened.
        keys: for each of :data:`KEYS` that is there, the name under which it is stored.
    """

    path: Path
    zip: zipfile.ZipFile
    keys: Mapping[str, str]

    @contextmanager
    def member(self, key: str) -> Iterator[tuple[BinaryIO, Header]]:
        """The array under ``key`` as a stream that stands at its first entry, and its header, which was checked.

        Raises:
            DataError: Python objects, more than can be read, or a size that the header does not tell the truth about.
        """
        with self.zip.open(f"{self.keys[key]}.npy") as file:
            stream = cast(BinaryIO, file)
            header = _header(stream)
            if header.dtype.hasobject:
                raise DataError(
                    f"archive {str(self.path)!r}: {key} is an array of Python objects (pickled), "
                    "which is never opened because it could run code: store numbers or text"
                )
            if not header.shape:
                raise DataError(
                    f"archive {str(self.path)!r}: {key} has no entry per sample or class: store an array with numpy.savez"
                )
            self._check_size(key, header, file.tell())
            yield stream, header

    def array(self, key: str) -> NDArray[Any]:
        """The array under ``key``.

        Raises:
            DataError: as for :meth:`member`.
        """
        with self.member(key) as (file, header):
            content = bytearray(header.size)
            view, filled = memoryview(content), 0
            while filled < header.size and (count := file.readinto(view[filled:])):  # type: ignore[attr-defined]
                filled += count
            file.read(1)  # the checksum is compared at the end
        flat: NDArray[Any] = np.frombuffer(content, header.dtype, math.prod(header.shape))
        return flat.reshape(header.shape, order="F" if header.by_columns else "C")

    def _check_size(self, key: str, header: Header, start: int) -> None:
        found, size = self.zip.getinfo(f"{self.keys[key]}.npy"), header.size
        what = f"archive {str(self.path)!r}: {key} of shape {shown(header.shape)}"
        if size > MAX_BYTES:
            raise DataError(f"{what} needs more than {MAX_BYTES >> 30} GiB: give fewer or smaller samples")
        if size != found.file_size - start:
            raise DataError(
                f"{what} needs {size} bytes and has {found.file_size - start}, it cannot be read: "
                "write the archive again with numpy.savez"
            )
        if size > FREE_BYTES and size > MAX_RATIO * found.compress_size:
            raise DataError(
                f"{what} expands to more than {MAX_RATIO} times its size, which no real samples do: "
                "store it uncompressed with numpy.savez if it is meant"
            )


def read_archive(path: str | Path, *, name: str | None = None) -> Dataset:
    """Read an ``.npz`` archive of images (N,H,W) or (N,H,W,C), or of float vectors (N,D), with integer labels (N,).

    ``images``/``labels`` and ``x_train``/``y_train`` (``x_test``/``y_test``) are accepted as other names of the keys.

    Raises:
        DataError: not an archive, damaged, pickled content, missing keys, wrong dtype or shape, NaN, float images
            outside [0, 1] and [-1, 1], negative labels, an empty class, or numbers of images and labels that differ.
    """
    path = Path(path)
    name = str(path) if name is None else name
    with opened(path) as archive:
        arrays = {key: archive.array(key) for key in archive.keys}
    test = (arrays["test_images"], arrays["test_labels"]) if "test_images" in arrays else None
    return Dataset.from_arrays(arrays["train_images"], arrays["train_labels"], arrays.get("class_names"), name, test)


def arrays(path: Path, keys: Sequence[str]) -> tuple[NDArray[Any], ...]:
    """The arrays under some keys of an archive of one's own, read with the same care.

    Raises:
        DataError: it is missing, no archive or damaged, or lacks one.
    """
    with opened(path, lambda names: _exactly(path, names, keys)) as archive:
        return tuple(archive.array(key) for key in keys)


def _exactly(path: Path, members: list[str], keys: Sequence[str]) -> dict[str, str]:
    missing = [key for key in keys if f"{key}.npy" not in members]
    if missing:
        raise DataError(f"archive {str(path)!r} has no {missing[0]}: remove it and give the command again")
    return {key: key for key in keys}


@contextmanager
def opened(path: Path, find: Callable[[list[str]], Mapping[str, str]] | None = None) -> Iterator[Archive]:
    """An archive with the keys of :data:`KEYS`, or with those that ``find`` finds among its members, for reading inside.

    Raises:
        DataError: it is missing, no archive, damaged, or has not the keys.
    """
    if not path.exists():
        raise DataError(f"archive {str(path)!r} does not exist: give an .npz file with train_images and train_labels")
    try:
        with open_regular(path) as file:
            if not zipfile.is_zipfile(file):
                raise DataError(
                    f"{str(path)!r} is not an .npz archive, or is truncated: "
                    "write it with numpy.savez(path, train_images=..., train_labels=...)"
                )
            with zipfile.ZipFile(file) as archive:
                names = archive.namelist()
                yield Archive(path, archive, _found(path, names) if find is None else find(names))
    except (
        OSError,
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        ValueError,
        KeyError,
        NotImplementedError,
        OverflowError,
        RecursionError,
        RuntimeError,
    ) as error:
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        reason = text.partition("\n")[0][:200]
        raise DataError(
            f"archive {str(path)!r} is damaged or cannot be read ({reason}): write it again with numpy.savez"
        ) from error


def _header(file: BinaryIO) -> Header:
    """The header of an array file; the stream then stands at the first entry.

    Raises:
        ValueError: it is none.
    """
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        shape, by_columns, dtype = read(file)
    except (OSError, zipfile.BadZipFile, zlib.error):
        raise
    except Exception as error:  # a header of nonsense is read as Python, which fails in many ways
        raise ValueError(f"its header makes no sense: {type(error).__name__}") from None
    if any(length < 0 for length in shape):
        raise ValueError("its header has a negative length")
    return Header(shape, by_columns, dtype, math.prod(shape) * dtype.itemsize)


def _found(path: Path, members: list[str]) -> dict[str, str]:
    """Which stored key stands for which of :data:`KEYS`."""
    files = [name.removesuffix(".npy") for name in members if name.endswith(".npy")]
    keys = {key: stored for key, others in KEYS.items() if (stored := next((o for o in others if o in files), ""))}
    needed = ["train_images", "train_labels"]
    needed += ["test_images", "test_labels"] if "test_images" in keys or "test_labels" in keys else []
    missing = [key for key in needed if key not in keys]
    if missing:
        there = ", ".join(name[:100] for name in sorted(files)[:LISTED])
        raise DataError(
            f"archive {str(path)!r} has no {' and no '.join(missing)}, "
            f"only the keys {there or '(none)'}: "
            "store train_images and train_labels, and for held-out data test_images and test_labels"
        )
    return keys
