"""Image folders read into one array: one size, one number of channels, and a list of what could not be read.

Law: reading depends on the files alone, not on threads or directory order; every file is either in ``files`` or in
``skipped`` with a reason, and every conversion is counted in a note.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from evenscore.data.dataset import Dataset, Skipped
from evenscore.data.layout import Listing, find_splits, list_images
from evenscore.data.pixels import MAX_PIXELS, UnreadableImage, describe, fit, read_image, read_size
from evenscore.errors import DataError, unknown

STRICTNESS = ("skip", "strict")
MAX_BYTES = 16 * 2**30
Size = tuple[int, int]
T = TypeVar("T")


@dataclass(frozen=True)
class _Decoded:
    """What became of one file: pixels (H,W) or (H,W,3) and the conversions, or the reason why there are none."""

    pixels: NDArray[np.uint8] | None
    kinds: frozenset[str] = frozenset()
    reason: str = ""


def read_folder(
    root: str | Path,
    *,
    size: Size | None = None,
    strict: str = "skip",
    name: str | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Dataset:
    """Read a folder of images (see :mod:`evenscore.data.layout` for the layouts).

    Args:
        size: (H, W) that all images are brought to; the most common size among the training images when None.
        strict: ``"skip"`` leaves unreadable images out and lists them; ``"strict"`` refuses them.
        name: the specification as given; the path when None.

    Raises:
        DataError: nothing to read, one class only, a class without readable images, or (strict) an unreadable image.
        UsageError: another word for ``strict``.
    """
    if strict not in STRICTNESS:
        raise unknown("policy for unreadable files", strict, STRICTNESS)
    name = str(root) if name is None else name
    train, held_out = find_splits(Path(root))
    listing = list_images(train)
    size = size or _common_size(listing, max_pixels)
    data = _read(listing, size, strict, name, max_pixels, channels=None, class_names=listing.class_names)
    if held_out is None:
        return data
    test = _read_held_out(list_images(held_out), data, strict, max_pixels)
    return Dataset(data.values, data.labels, data.class_names, name, data.files, data.notes, data.skipped, test)


def _read_held_out(listing: Listing, train: Dataset, strict: str, max_pixels: int) -> Dataset:
    strange = [c for c in listing.class_names if c not in train.class_names]
    if strange:
        raise DataError(
            f"held-out folder {str(listing.root)!r} has the class {strange[0]!r} that the training part lacks: "
            "remove it or add it to both"
        )
    channels, height, width = train.shape
    name = f"{train.name} ({listing.root.name})"
    return _read(listing, (height, width), strict, name, max_pixels, channels, train.class_names)


def _threaded(function: Callable[[Path], T], paths: Sequence[Path]) -> list[T]:
    Image.init()  # register all decoders before threads ask for them
    with ThreadPoolExecutor(min(8, 2 * (os.cpu_count() or 1))) as pool:
        return list(pool.map(function, paths))


def _common_size(listing: Listing, max_pixels: int) -> Size | None:
    """The most common (H, W); the smaller one of two that are equally common; None when no header can be read."""

    def header(path: Path) -> Size | None:
        try:
            return read_size(path, max_pixels)
        except UnreadableImage:
            return None

    sizes = Counter(size for size in _threaded(header, listing.files) if size is not None)
    return min(sizes, key=lambda s: (-sizes[s], s[0] * s[1], s)) if sizes else None


def _decode(path: Path, size: Size, max_pixels: int) -> _Decoded:
    try:
        image, kinds = read_image(path, max_pixels)
    except UnreadableImage as error:
        return _Decoded(None, reason=error.reason)
    if (image.height, image.width) != size:
        image, kinds = fit(image, size), kinds | {"resized"}
    return _Decoded(np.asarray(image), frozenset(kinds))


def _read(
    listing: Listing,
    size: Size | None,
    strict: str,
    name: str,
    max_pixels: int,
    channels: int | None,
    class_names: tuple[str, ...],
) -> Dataset:
    """Decode what ``listing`` names; ``channels`` None means that these images decide."""
    height, width = size or (1, 1)
    if len(listing.files) * height * width * (channels or 3) > MAX_BYTES:
        raise DataError(
            f"{name}: {len(listing.files)} images of {height}x{width} pixels need more than {MAX_BYTES >> 30} GiB: "
            "ask for a smaller size, such as size=64"
        )
    decoded = _threaded(lambda path: _decode(path, (height, width), max_pixels), listing.files)
    bad = [Skipped(path, d.reason) for path, d in zip(listing.files, decoded, strict=True) if d.pixels is None]
    skipped = (*listing.skipped, *bad)
    if skipped and strict == "strict":
        raise DataError(
            f"{name}: image {str(skipped[0].path)!r} cannot be used ({skipped[0].reason}), {len(skipped)} in all: "
            "repair or remove them, or read without strict to leave them out"
        )
    good = [i for i, d in enumerate(decoded) if d.pixels is not None]
    _require_classes(listing, {listing.classes[i] for i in good}, skipped)
    values, mixed = _stack([d.pixels for d in decoded if d.pixels is not None], channels)
    notes = describe([*(kind for d in decoded for kind in d.kinds), *mixed])
    place = {c: k for k, c in enumerate(class_names)}
    labels = np.array([place[listing.classes[i]] for i in good], dtype=np.int64)
    files = tuple(listing.files[i] for i in good)
    return Dataset(values, labels, class_names, name, files, _sized(notes, values) + listing.notes, skipped)


def _sized(notes: tuple[str, ...], values: NDArray[np.uint8]) -> tuple[str, ...]:
    height, width = values.shape[1:3]
    return tuple(f"{note} to {height}x{width}" if note.endswith("resized") else note for note in notes)


def _require_classes(listing: Listing, present: set[str], skipped: Sequence[Skipped]) -> None:
    empty = [c for c in listing.class_names if c not in present]
    if empty:
        first = f", first {str(skipped[0].path)!r}: {skipped[0].reason}" if skipped else ""
        raise DataError(
            f"class {empty[0]!r} in {str(listing.root)!r} has 0 readable images ({len(skipped)} left out{first}): "
            "repair its images or remove the class"
        )


def _stack(images: Sequence[NDArray[np.uint8]], channels: int | None) -> tuple[NDArray[np.uint8], list[str]]:
    """Images (H,W) and (H,W,3) as one array (N,H,W,C), and one kind of conversion for each image that was changed."""
    colour = sum(image.ndim == 3 for image in images)
    channels = channels or (3 if colour else 1)
    values = np.empty((len(images), *images[0].shape[:2], channels), dtype=np.uint8)
    for i, image in enumerate(images):
        if channels == 1 and image.ndim == 3:
            image = np.asarray(Image.fromarray(image).convert("L"))
        values[i] = image[..., None] if image.ndim == 2 else image
    if channels == 1:
        return values, ["colour"] * colour
    return values, ["grey"] * (len(images) - colour)
