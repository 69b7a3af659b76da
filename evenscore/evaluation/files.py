"""Generated samples in files, read batch by batch: a folder of images by class, or an ``.npz`` archive.

Law: reading one batch holds one batch. Of a balanced folder only the images that are marked as synthetic are read.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evenscore.data import UnreadableImage, from_uint8, read_image
from evenscore.data.archive import KEYS
from evenscore.data.layout import list_images
from evenscore.errors import DataError
from evenscore.evaluation.generated import BATCH, Generated, Part

ARCHIVE = "samples.npz"
"""What `evenscore sample --format npz` writes."""


def of_files(path: Path, per_class: int | None = None) -> Generated:
    """The samples in a folder or archive, at most ``per_class`` of each class, in order.

    Raises:
        DataError: it is missing, damaged, or of another layout.
    """
    archive = path / ARCHIVE if path.is_dir() else path
    if archive.is_file() and archive.suffix == ".npz":
        return of_archive(archive, per_class)
    if not path.is_dir():
        raise DataError(f"{path} is neither a run, nor a folder of images, nor an .npz archive: give one of them")
    return of_folder(path, per_class)


def of_folder(root: Path, per_class: int | None = None) -> Generated:
    """Images by class; where the metadata mark some as synthetic, those alone.

    Raises:
        DataError: no images, an empty class, or the first image cannot be read.
    """
    listing = list_images(root)
    marks = _marks(root)
    marked = {path for path, synthetic in marks.items() if synthetic}
    names = listing.class_names
    chosen: list[tuple[Path, int]] = []
    count: Counter[int] = Counter()
    for path, name in zip(listing.files, listing.classes, strict=True):
        k = names.index(name)
        if (not marks or path.resolve() in marked) and (per_class is None or count[k] < per_class):
            chosen.append((path, k))
            count[k] += 1
    notes = (f"only the {len(marked)} images marked as synthetic in {root} are judged",) if marked else ()
    if not chosen:
        raise DataError(f"{root} holds no generated images: give a folder that `evenscore sample` or `balance` wrote")
    shape = tuple(_pixels(chosen[0][0]).shape[i] for i in (2, 0, 1))
    counts = tuple(count[k] for k in range(len(names)))
    return Generated(
        str(root),
        names,
        shape,
        counts,
        lambda: _images(chosen, shape),
        notes=notes,
        without="left out" if marked else "refused",
    )


def _marks(root: Path) -> dict[Path, bool]:
    """Whether an image is synthetic, for all images of which metadata.jsonl says it; empty when it says nothing."""
    path = root / "metadata.jsonl"
    found = {}
    if path.is_file():
        with path.open(encoding="utf-8-sig") as file:
            lines = [json.loads(line) for line in file if line.strip()]
        found = {(root / line["file_name"]).resolve(): bool(line["synthetic"]) for line in lines if "synthetic" in line}
    return found


def _pixels(path: Path) -> NDArray[np.uint8]:
    """One image as (H, W, C)."""
    image = np.asarray(read_image(path)[0])
    return image[..., None] if image.ndim == 2 else image


def _images(chosen: Sequence[tuple[Path, int]], shape: tuple[int, ...]) -> Iterator[Part]:
    for start in range(0, len(chosen), BATCH):
        part = chosen[start : start + BATCH]
        images = [_pixels(path) for path, _ in part]
        for (path, _), image in zip(part, images, strict=True):
            if (image.shape[2], *image.shape[:2]) != shape:
                raise UnreadableImage(
                    path, f"{image.shape[1::-1]} pixels and {image.shape[2]} channels unlike the first"
                )
        labels = torch.tensor([k for _, k in part])
        yield Part(from_uint8(np.stack(images)), labels, tuple(range(start, start + len(part))))


class _Header(NamedTuple):
    """Shape and type of an array in an archive."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def of_archive(path: Path, per_class: int | None = None) -> Generated:
    """Samples in an ``.npz`` archive: images uint8 (N, H, W) or (N, H, W, C), or vectors float (N, D), with labels (N,).

    Raises:
        DataError: not an archive, missing arrays, or arrays that do not fit.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            keys = {key: next((o for o in others if o in archive.files), "") for key, others in KEYS.items()}
            if not keys["train_images"] or not keys["train_labels"]:
                raise DataError(f"{path} has no train_images and train_labels: give an archive of labelled samples")
            labels = np.asarray(archive[keys["train_labels"]])
            names = archive[keys["class_names"]] if keys["class_names"] else np.arange(int(labels.max()) + 1)
        with zipfile.ZipFile(path) as archive_file, archive_file.open(f"{keys['train_images']}.npy") as file:
            header = _header(file)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DataError(f"{path} cannot be read ({error}): give an .npz archive that numpy.savez wrote") from None
    _check_archive(path, header, labels, len(names))
    class_names = tuple(str(name) for name in names)
    kept = _first(labels, len(names), per_class)
    counts = tuple(np.bincount(labels[kept], minlength=len(names)).tolist())
    shape = _shape(header)

    def parts() -> Iterator[Part]:
        return _rows(path, f"{keys['train_images']}.npy", labels, kept)

    return Generated(str(path), class_names, shape, counts, parts)


def _header(file: Any) -> _Header:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, columns_first, dtype = read(file)
    if columns_first or dtype.hasobject:
        raise ValueError("an array is stored by columns, or holds Python objects")
    return _Header(shape, dtype)


def _check_archive(path: Path, header: _Header, labels: NDArray[Any], classes: int) -> None:
    image = header.dtype == np.uint8 and len(header.shape) in (3, 4) and header.shape[3:] in ((), (1,), (3,))
    vector = header.dtype.kind == "f" and len(header.shape) == 2
    if not (image or vector) or 0 in header.shape:
        raise DataError(
            f"{path}: samples of dtype {header.dtype} and shape {header.shape} cannot be used: "
            "give uint8 images (N, H, W, C) with C 1 or 3, or float vectors (N, D)"
        )
    if labels.shape != header.shape[:1] or labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= classes:
        raise DataError(
            f"{path}: labels of dtype {labels.dtype} and shape {labels.shape} do not fit {header.shape[0]} samples of "
            f"{classes} classes: give one whole number from 0 to {classes - 1} for each sample"
        )


def _shape(header: _Header) -> tuple[int, ...]:
    if len(header.shape) == 2:
        return header.shape[1:]
    channels = header.shape[3] if len(header.shape) == 4 else 1
    return channels, header.shape[1], header.shape[2]


def _first(labels: NDArray[Any], classes: int, per_class: int | None) -> NDArray[np.bool_]:
    """The first samples of each class as a mask (N,)."""
    kept = np.zeros(len(labels), dtype=np.bool_)
    for k in range(classes):
        kept[np.flatnonzero(labels == k)[:per_class]] = True
    return kept


def _rows(path: Path, member: str, labels: NDArray[Any], kept: NDArray[np.bool_]) -> Iterator[Part]:
    with zipfile.ZipFile(path) as archive, archive.open(member) as file:
        header = _header(file)
        size = int(np.prod(header.shape[1:])) * header.dtype.itemsize
        for start in range(0, len(labels), BATCH):
            rows = np.arange(start, min(start + BATCH, len(labels)))
            content = file.read(size * len(rows))
            if len(content) != size * len(rows):
                raise DataError(f"{path} is truncated: write it again")
            values = np.frombuffer(content, header.dtype).reshape(len(rows), *header.shape[1:])[kept[rows]]
            rows = rows[kept[rows]]
            if len(rows):
                yield Part(_tensor(values), torch.from_numpy(labels[rows].astype(np.int64)), tuple(rows.tolist()))


def _tensor(values: NDArray[Any]) -> Tensor:
    if values.dtype != np.uint8:
        return torch.from_numpy(values.astype(np.float32))
    return from_uint8(values if values.ndim == 4 else values[..., None])
