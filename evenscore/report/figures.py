"""Figures: grids of images as PNG data URIs, one strip of eight columns for each class and kind.

Law: the strips of one report together take at most ``BUDGET`` characters as long as at most ``MOST_CLASSES`` classes are
shown, whatever the images hold: the number of images and then their size give way, and what gave way is said. Pixels
are otherwise as they are; enlarging is left to the page.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from evenscore.report.records import ClassReport, Images, count
from evenscore.report.words import many, number

COLUMNS = 8
MOST_CLASSES = 40
BUDGET = 4_700_000
CHOICES = ((16, 64), (12, 64), (8, 64), (8, 48), (8, 32), (4, 32))
SMALL = 40


@dataclass(frozen=True)
class Strip:
    """One picture: a PNG data URI, its size in pixels, its words, and whether it is to be enlarged without blurring."""

    uri: str
    width: int
    height: int
    alt: str
    caption: str
    pixelated: bool


@dataclass(frozen=True)
class Gallery:
    """The strips of one class."""

    name: str
    group: str
    strips: tuple[Strip, ...]


@dataclass(frozen=True)
class Galleries:
    """The strips of a report, and sentences on what is not shown."""

    items: tuple[Gallery, ...]
    notes: tuple[str, ...]


def galleries(classes: Sequence[ClassReport]) -> Galleries:
    """Grids of the classes that have images; of more than ``MOST_CLASSES``, those with the fewest real ones."""
    having = [each for each in classes if each.has_images]
    shown = having if len(having) <= MOST_CLASSES else sorted(having, key=lambda each: each.real)[:MOST_CLASSES]
    items: tuple[Gallery, ...] = ()
    number_shown, side = CHOICES[0]
    for number_shown, side in CHOICES:
        items = tuple(_gallery(each, number_shown, side) for each in shown)
        if sum(len(strip.uri) for item in items for strip in item.strips) <= BUDGET:
            break
    notes = []
    if len(shown) < len(having):
        notes.append(f"Grids are shown for the {len(shown)} smallest of {number(len(having))} classes, smallest first.")
    given = [images for each in shown for images in _kinds(each) if images is not None and len(images)]
    if any(len(images) > number_shown for images in given):
        notes.append(f"At most {many(number_shown, 'image')} of each kind are shown, to keep this file small.")
    if any(max(images.shape[1:3]) > side for images in given):
        notes.append(f"Images are shown reduced to at most {side} pixels a side; the files are not.")
    return Galleries(items, tuple(notes))


def strip_png(images: Images, columns: int = COLUMNS) -> bytes:
    """Images (n,H,W,C), C = 1 or 3, side by side in rows of ``columns`` with transparent gaps, as a PNG file."""
    n, height, width, channels = images.shape
    gap = max(1, width // 16)
    rows = -(-n // columns)
    shape = (rows * (height + gap) - gap, columns * (width + gap) - gap, channels + 1)
    sheet: NDArray[np.uint8] = np.zeros(shape, dtype=np.uint8)
    for i, image in enumerate(images):
        top, left = (i // columns) * (height + gap), (i % columns) * (width + gap)
        sheet[top : top + height, left : left + width, :channels] = image
        sheet[top : top + height, left : left + width, channels] = 255
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, format="PNG", compress_level=9)
    return buffer.getvalue()


def thumbnails(images: Images, side: int) -> Images:
    """Images (n,H,W,C) reduced so that neither side exceeds ``side``; smaller ones are returned as they are."""
    _, height, width, channels = images.shape
    scale = side / max(height, width)
    if scale >= 1:
        return images
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    flat = (Image.fromarray(each[..., 0] if channels == 1 else each) for each in images)
    small = [np.asarray(each.resize(size, Image.Resampling.LANCZOS)) for each in flat]
    return np.stack(small).reshape(len(images), size[1], size[0], channels)


def _kinds(each: ClassReport) -> tuple[Images | None, Images | None, Images | None]:
    return each.real_images, each.synthetic_images, each.nearest_images


def _gallery(each: ClassReport, most: int, side: int) -> Gallery:
    real, synthetic, nearest = _kinds(each)
    strips = []
    if real is not None and len(real):
        shown = min(most, count(real))
        words = f"Real: {shown} of {number(each.real)}"
        strips.append(make_strip(real[:shown], side, f"{many(shown, 'real image')} of class {each.name}", words))
    if synthetic is not None and len(synthetic):
        shown = min(most, count(synthetic))
        words = f"Synthetic: {shown} of {number(each.made)}"
        strips.append(
            make_strip(synthetic[:shown], side, f"{many(shown, 'synthetic image')} of class {each.name}", words)
        )
        if nearest is not None and len(nearest):
            alt = f"For each synthetic image of class {each.name} the nearest training image, in the same order"
            words = "Nearest training images"
            strips.append(make_strip(nearest[:shown], side, alt, words))
    return Gallery(each.name, each.group, tuple(strips))


def make_strip(images: Images, side: int, alt: str, caption: str, columns: int = COLUMNS) -> Strip:
    """Images (n,H,W,C), reduced to ``side`` pixels where they are larger, as one picture with its words."""
    small = thumbnails(images, side)
    png = strip_png(small, columns)
    width, height = Image.open(io.BytesIO(png)).size
    uri = "data:image/png;base64," + base64.b64encode(png).decode("ascii")
    return Strip(uri, width, height, alt, caption, pixelated=max(small.shape[1:3]) <= SMALL)
