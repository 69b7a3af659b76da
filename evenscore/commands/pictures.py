"""Pictures that a person names on the command line, brought to the size and the colours of a run.

Law: whatever was done to a picture is said; one that cannot be read is left out and named, unless it is the only one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from evenscore.data.layout import EXTENSIONS, natural
from evenscore.data.pixels import UnreadableImage, describe, fit, read_image
from evenscore.errors import DataError
from evenscore.writing import safe_name

FILLED = 25
"""Grey of a mask above which a pixel is filled: edges that a resize has softened belong to the hole."""


@dataclass(frozen=True, eq=False)
class Picture:
    """One input picture.

    Attributes:
        path: where it was read.
        name: its name without ending, safe and unique among the pictures.
        size: (H, W) of the file.
        pixels: bytes (H, W, C) in the run's shape.
        grey: bytes (H, W, 1), its luminance.
    """

    path: Path
    name: str
    size: tuple[int, int]
    pixels: NDArray[np.uint8]
    grey: NDArray[np.uint8]


def read_pictures(path: Path, shape: tuple[int, int, int]) -> tuple[list[Picture], tuple[str, ...]]:
    """A picture, or those of a folder in natural order, and notes on what was done to them.

    Raises:
        DataError: nothing there, or nothing that can be read.
    """
    files = _files(path)
    pictures: list[Picture] = []
    kinds: list[str] = []
    refused: list[str] = []
    taken: set[str] = set()
    for file in files:
        try:
            image, done = read_image(file)
        except UnreadableImage as error:
            if len(files) == 1:
                raise
            refused.append(f"{file.name} is left out: {error.reason}")
            continue
        picture, more = _fitted(file, image, shape, taken)
        pictures.append(picture)
        kinds += [*done, *more]
    if not pictures:
        raise DataError(f"--input {path} holds no readable image: {refused[0]}")
    return pictures, (*describe(kinds), *refused)


def hole(mask: Path, picture: Picture, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Which pixels (H, W) of a picture are to be filled: the white part of its mask.

    Args:
        mask: an image for all pictures, or a folder with an image of the same name for each.
        picture: the picture.
        size: (H, W) of the run.

    Raises:
        DataError: no mask, one of another size than its picture, or one that leaves nothing to fill or nothing known.
    """
    path = mask
    if mask.is_dir():
        found = [file for file in _files(mask) if file.stem == picture.path.stem]
        if not found:
            raise DataError(f"--mask {mask} holds no mask for {picture.path.name}: name it {picture.path.stem}.png")
        path = found[0]
    image, _ = read_image(path)
    there = (image.height, image.width)
    if there not in (picture.size, size):
        (h, w), (a, b) = there, picture.size
        raise DataError(
            f"mask {path} has {w} x {h} pixels and image {picture.path.name} {b} x {a}: give both the same size"
        )
    filled = np.asarray(fit(image.convert("L"), size)) > FILLED
    if filled.all() or not filled.any():
        what = "nothing known" if filled.all() else "nothing to fill"
        raise DataError(f"mask {path} leaves {what} of {picture.path.name}: paint white what is to be filled")
    return filled


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        files = [p for p in path.iterdir() if p.suffix[1:].lower() in EXTENSIONS and not p.name.startswith(".")]
        if not files:
            raise DataError(f"{path} holds no images: give an image, or a folder with images in it")
        return sorted(files, key=lambda p: natural(p.name))
    if not path.exists():
        raise DataError(f"{path} does not exist: give an image, or a folder with images in it")
    return [path]


def _fitted(path: Path, image: Image.Image, shape: tuple[int, int, int], taken: set[str]) -> tuple[Picture, list[str]]:
    """The picture in the run's shape, and which conversions that took."""
    channels, *rest = shape
    size = (rest[0], rest[1])
    kinds = [] if image.size == (size[1], size[0]) else ["resized"]
    small = fit(image, size)
    mode = "RGB" if channels == 3 else "L"
    if small.mode != mode and channels == 1:
        kinds.append("colour")
    pixels = np.asarray(small.convert(mode)).reshape(*size, channels)
    grey = np.asarray(small.convert("L")).reshape(*size, 1)
    return Picture(path, safe_name(path.stem, "image", taken), (image.height, image.width), pixels, grey), kinds
