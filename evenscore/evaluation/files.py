"""Generated samples in files, read batch by batch: a folder of images by class, shards, or an ``.npz`` archive.

Law: reading one batch holds one batch. Of a balanced folder only the images that are marked as synthetic are read.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from evenscore.data import UnreadableImage, from_uint8, read_image
from evenscore.data.archive import Archive, Header, opened
from evenscore.data.layout import list_images
from evenscore.data.metadata import NAME_COLUMNS
from evenscore.errors import DataError, shown
from evenscore.evaluation.generated import BATCH, Generated, Part
from evenscore.ranks import current
from evenscore.reading import parse_json, read_text
from evenscore.shards import CLASSES, read_shard, shards_in
from evenscore.writing import Found

BATCH_BYTES = 2**28
"""Bytes of an archive that are held at once, at most, where a single sample is not larger."""
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
    return of_shards(path, per_class) if shards_in(path) else of_folder(path, per_class)


def of_shards(root: Path, per_class: int | None = None) -> Generated:
    """The synthetic images in shards; what is known of each is read twice, and kept of none.

    Raises:
        DataError: a shard or the list of classes cannot be read, or there is no synthetic image.
    """
    names = _class_names(root)
    counts, real, shape = [0] * len(names), 0, None
    for found, k in _synthetic(root, names):
        if k is None:
            real += 1
        elif per_class is None or counts[k] < per_class:
            counts[k] += 1
            shape = shape or _shape_of(_decoded(found))
    if shape is None:
        raise DataError(f"{root} holds no generated images: give a folder that `evenscore sample` or `balance` wrote")
    notes = (f"only the {sum(counts)} images marked as synthetic in {root} are judged",) if real else ()
    without: Literal["refused", "left out"] = "left out" if real else "refused"
    size = shape
    return Generated(
        str(root),
        names,
        size,
        tuple(counts),
        lambda: _of_shards(root, names, counts, size),
        notes=notes,
        without=without,
    )


def _class_names(root: Path) -> tuple[str, ...]:
    """The classes of a folder of shards."""
    try:
        names = parse_json(read_text(root / CLASSES))
    except (OSError, ValueError) as error:
        raise DataError(f"{root / CLASSES} cannot be read ({error}): restore it, or write the folder again") from None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len({*names}) < len(names):
        raise DataError(f"{root / CLASSES} is no list of class names: restore it, or write the folder again")
    return tuple(names)


def _synthetic(root: Path, names: tuple[str, ...]) -> Iterator[tuple[Found, int | None]]:
    """All images in shards, with the class of those that are synthetic."""
    place = {name: k for k, name in enumerate(names)}
    for path in shards_in(root):
        for found in read_shard(path):
            label = found.record.get("label")
            if label not in place:
                raise DataError(
                    f"shard {path} holds the class {shown(label)} that {CLASSES} lacks: write the folder again"
                )
            yield found, place[label] if found.record.get("synthetic") is True else None


def _of_shards(root: Path, names: tuple[str, ...], counts: list[int], shape: tuple[int, ...]) -> Iterator[Part]:
    seen, ranks, batch, turn = [0] * len(names), current(), list[tuple[int, Found, int]](), 0
    last = sum(counts)
    for found, k in _synthetic(root, names):
        if k is None or seen[k] == counts[k]:
            continue
        seen[k] += 1
        batch.append((sum(seen) - 1, found, k))
        if len(batch) == BATCH or sum(seen) == last:
            if turn % ranks.size == ranks.rank:
                images = [_decoded(each) for _, each, _ in batch]
                _require_shape(zip(batch, images, strict=True), shape)
                labels = torch.tensor([k for *_, k in batch])
                yield Part(from_uint8(np.stack(images)), labels, tuple(number for number, *_ in batch))
            batch, turn = [], turn + 1


def _require_shape(images: Iterable[tuple[tuple[int, Found, int], NDArray[np.uint8]]], shape: tuple[int, ...]) -> None:
    for (_, found, _), image in images:
        if _shape_of(image) != shape:
            raise DataError(
                f"{found.record['file_name']} has the shape {_shape_of(image)} and the first image {shape}: give images of "
                "one size"
            )


def _decoded(found: Found) -> NDArray[np.uint8]:
    """One image of a shard as (H, W, C)."""
    try:
        with Image.open(io.BytesIO(found.content())) as image:
            values = np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{found.path} holds an image that cannot be read ({error}): write the folder again") from error
    return values[..., None] if values.ndim == 2 else values


def _shape_of(image: NDArray[np.uint8]) -> tuple[int, ...]:
    return (image.shape[2], *image.shape[:2])


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
        marked = [line for line in lines if "synthetic" in line]
        names = [next(line[c] for c in NAME_COLUMNS if c in line) for line in marked]
        found = {(root / name).resolve(): bool(line["synthetic"]) for name, line in zip(names, marked, strict=True)}
    return found


def _pixels(path: Path) -> NDArray[np.uint8]:
    """One image as (H, W, C)."""
    image = np.asarray(read_image(path)[0])
    return image[..., None] if image.ndim == 2 else image


def _images(chosen: Sequence[tuple[Path, int]], shape: tuple[int, ...]) -> Iterator[Part]:
    ranks = current()
    for start in range(ranks.rank * BATCH, len(chosen), ranks.size * BATCH):
        part = chosen[start : start + BATCH]
        images = [_pixels(path) for path, _ in part]
        for (path, _), image in zip(part, images, strict=True):
            if (image.shape[2], *image.shape[:2]) != shape:
                raise UnreadableImage(
                    path, f"{image.shape[1::-1]} pixels and {image.shape[2]} channels unlike the first"
                )
        labels = torch.tensor([k for _, k in part])
        yield Part(from_uint8(np.stack(images)), labels, tuple(range(start, start + len(part))))


def of_archive(path: Path, per_class: int | None = None) -> Generated:
    """Samples in an ``.npz`` archive: images uint8 (N, H, W) or (N, H, W, C), or vectors float (N, D), with labels (N,).

    Raises:
        DataError: not an archive, missing arrays, or arrays that do not fit.
    """
    with opened(path) as archive:
        header, labels, names = _described(archive)
    classes = len(names) if names is not None else _classes(labels)
    _check_archive(path, header, labels, classes)
    class_names = tuple(str(name) for name in (range(classes) if names is None else names))
    kept = _first(labels, classes, per_class)
    counts = tuple(np.bincount(labels[kept], minlength=classes).tolist())
    return Generated(str(path), class_names, _shape(header), counts, lambda: _rows(path, labels, kept))


def _described(archive: Archive) -> tuple[Header, NDArray[Any], NDArray[Any] | None]:
    """Header of the samples, labels, and class names where there are some."""
    with archive.member("train_images") as (_, header):
        pass
    names = archive.array("class_names") if "class_names" in archive.keys else None
    return header, archive.array("train_labels"), names


def _classes(labels: NDArray[Any]) -> int:
    """How many classes labels speak of; 0 where they are no labels, or of more classes than there are labels."""
    whole = labels.dtype.kind in "iu" and labels.size > 0
    return int(labels.max()) + 1 if whole and labels.max() < len(labels) else 0


def _check_archive(path: Path, header: Header, labels: NDArray[Any], classes: int) -> None:
    image = header.dtype == np.uint8 and len(header.shape) in (3, 4) and header.shape[3:] in ((), (1,), (3,))
    vector = header.dtype.kind == "f" and len(header.shape) == 2
    if not (image or vector) or 0 in header.shape or header.by_columns:
        stored = ", stored by columns," if header.by_columns else ""
        raise DataError(
            f"{path}: samples of dtype {header.dtype} and shape {header.shape}{stored} cannot be used: "
            "give uint8 images (N, H, W, C) with C 1 or 3, or float vectors (N, D)"
        )
    if labels.shape != header.shape[:1] or labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= classes:
        raise DataError(
            f"{path}: labels of dtype {labels.dtype} and shape {labels.shape} do not fit {header.shape[0]} samples of "
            f"{classes} classes: give one whole number from 0 to K - 1 for each sample of K classes"
        )


def _shape(header: Header) -> tuple[int, ...]:
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


def _rows(path: Path, labels: NDArray[Any], kept: NDArray[np.bool_]) -> Iterator[Part]:
    """The kept samples, a batch at a time, and few at once where they are large."""
    with opened(path) as archive, archive.member("train_images") as (file, header):
        size = header.size // len(labels)
        step = max(1, min(BATCH, BATCH_BYTES // size))
        ranks, turn = current(), -1
        for start in range(0, len(labels), step):
            rows = np.arange(start, min(start + step, len(labels)))
            content = file.read(size * len(rows))
            values = np.frombuffer(content, header.dtype).reshape(len(rows), *header.shape[1:])[kept[rows]]
            rows = rows[kept[rows]]
            turn += len(rows) > 0
            if len(rows) and turn % ranks.size == ranks.rank:
                yield Part(_tensor(values), torch.from_numpy(labels[rows].astype(np.int64)), tuple(rows.tolist()))


def _tensor(values: NDArray[Any]) -> Tensor:
    if values.dtype != np.uint8:
        return torch.from_numpy(values.astype(np.float32))
    return from_uint8(values if values.ndim == 4 else values[..., None])
