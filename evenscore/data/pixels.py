"""Pixels: the only place where 8-bit images and values in [-1, 1] meet, and where image files are read and written.

Law: ``to_uint8(from_uint8(v)) == v`` for every byte v, with x = v / 127.5 - 1. Whatever a file holds (palette, alpha,
16 bits, CMYK, EXIF orientation, several frames), it is read as 8-bit grey or 8-bit RGB, and what was done is said.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from evenscore.errors import DataError
from evenscore.reading import open_regular

MAX_PIXELS = 64_000_000
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")

CONVERSIONS = {
    "exif": ("image", "turned upright by EXIF orientation"),
    "palette": ("palette image", "converted to RGB"),
    "alpha": ("image", "with transparency composited on white"),
    "16-bit": ("16-bit grey image", "scaled to 8 bits"),
    "32-bit": ("32-bit grey image", "scaled to 8 bits"),
    "1-bit": ("1-bit image", "converted to 8-bit grey"),
    "colour space": ("CMYK, YCbCr or Lab image", "converted to RGB"),
    "frames": ("image", "with several frames, first frame used"),
    "resized": ("image", "of another size centre-cropped to the aspect ratio and resized"),
    "grey": ("grey image", "repeated to RGB because others have colour"),
    "colour": ("colour image", "converted to grey as the training images are"),
}
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION, _SAMPLE_FORMAT = 0x0112, 339


class UnreadableImage(DataError):
    """An image file that cannot be used; ``reason`` says why in a few words."""

    def __init__(self, path: str | Path, reason: str) -> None:
        super().__init__(f"image {str(path)!r} cannot be read ({reason}): repair it or remove it")
        self.path = Path(path)
        self.reason = reason


def from_uint8(images: NDArray[np.uint8]) -> Tensor:
    """Bytes (B,H,W,C) as float32 values in [-1, 1], (B,C,H,W)."""
    return scaled(torch.from_numpy(np.ascontiguousarray(np.moveaxis(images, -1, 1)).copy()))


def scaled(pixels: Tensor) -> Tensor:
    """Bytes (B,C,H,W) as float32 values in [-1, 1] of the same shape."""
    return pixels.float().contiguous() / 127.5 - 1


def to_uint8(x: Tensor) -> NDArray[np.uint8]:
    """Values in [-1, 1], (B,C,H,W), as bytes (B,H,W,C): clamped and rounded to the nearest."""
    pixels = ((x.detach().float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return np.ascontiguousarray(pixels.permute(0, 2, 3, 1).cpu().numpy())


def as_pil(array: NDArray[np.uint8]) -> Image.Image:
    """Bytes (H,W), (H,W,1) or (H,W,3) as a grey or RGB image."""
    return Image.fromarray(array[..., 0] if array.ndim == 3 and array.shape[-1] == 1 else array)


def save_png(array: NDArray[np.uint8], path: str | Path) -> None:
    """Write bytes (H,W), (H,W,1) or (H,W,3) as a PNG file."""
    Path(path).write_bytes(png_bytes(array))


def png_bytes(array: NDArray[np.uint8]) -> bytes:
    """Bytes (H,W), (H,W,1) or (H,W,3) as the content of a PNG file."""
    buffer = io.BytesIO()
    as_pil(array).save(buffer, format="PNG")
    return buffer.getvalue()


def fit(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The image at ``size`` = (H, W): centre-cropped to the aspect ratio, then resized (antialiased Lanczos)."""
    height, width = size
    if image.size == (width, height):
        return image
    scale = min(image.width / width, image.height / height)
    left, top = (image.width - width * scale) / 2, (image.height - height * scale) / 2
    box = (left, top, left + width * scale, top + height * scale)
    return image.resize((width, height), Image.Resampling.LANCZOS, box=box)


def many(n: int, noun: str) -> str:
    """``1 image``, ``2 images``."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def describe(kinds: Iterable[str]) -> tuple[str, ...]:
    """One sentence for each kind of conversion, with its number of images; one entry per image and kind comes in."""
    count = Counter(kinds)
    return tuple(f"{many(count[kind], noun)} {done}" for kind, (noun, done) in CONVERSIONS.items() if count[kind])


def read_size(path: str | Path, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """(H, W) of an image file as it stands upright, from its header alone.

    Raises:
        UnreadableImage: not an image, permission denied, or more than ``max_pixels`` pixels.
    """
    try:
        with open_regular(path) as file, Image.open(file, formats=FORMATS) as image:
            _check_size(path, image, max_pixels)
            width, height = image.size
            return (width, height) if _orientation(image) >= 5 else (height, width)
    except Exception as error:
        raise _unreadable(path, error, max_pixels) from error


def read_image(path: str | Path, max_pixels: int = MAX_PIXELS) -> tuple[Image.Image, set[str]]:
    """Decode an image file as 8-bit grey (mode L) or RGB, upright, without alpha.

    Returns:
        The image, and which of :data:`CONVERSIONS` were applied.

    Raises:
        UnreadableImage: not an image, truncated or damaged, permission denied, or more than ``max_pixels`` pixels; the
            last is found in the header, before anything is decoded.
    """
    kinds: set[str] = set()
    try:
        with open_regular(path) as file, Image.open(file, formats=FORMATS) as image:
            _check_size(path, image, max_pixels)
            if image.format != "MPO" and getattr(image, "is_animated", False):
                kinds.add("frames")
                image.seek(0)
            image.load()
            turn = _TURNS.get(_orientation(image))
            plain = _eight_bit(path, image, kinds)
    except Exception as error:
        raise _unreadable(path, error, max_pixels) from error
    if turn is None:
        return plain, kinds
    return plain.transpose(turn), kinds | {"exif"}


def _unreadable(path: str | Path, error: Exception, max_pixels: int) -> UnreadableImage:
    """Any failure inside the decoder, in a few words: it may raise almost anything on damaged input."""
    if isinstance(error, UnreadableImage):
        return error
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return UnreadableImage(path, f"more than {max_pixels} pixels")
    if isinstance(error, UnidentifiedImageError):
        return UnreadableImage(path, "not a PNG, JPEG, BMP, GIF, WebP, TIFF or PPM image, whatever its name says")
    if isinstance(error, PermissionError):
        return UnreadableImage(path, "permission denied")
    if isinstance(error, FileNotFoundError):
        return UnreadableImage(path, "no such file")
    if isinstance(error, OSError) and error.strerror:
        return UnreadableImage(path, error.strerror)
    return UnreadableImage(path, f"damaged or truncated: {str(error) or type(error).__name__}")


def _check_size(path: str | Path, image: Image.Image, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        raise UnreadableImage(path, f"{image.width} x {image.height} pixels, more than {max_pixels}")


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged EXIF says nothing about the pixels
        return 1


def _eight_bit(path: str | Path, image: Image.Image, kinds: set[str]) -> Image.Image:
    """The loaded image in mode L or RGB; what was converted is added to ``kinds``."""
    mode = image.mode
    if mode in ("P", "PA"):
        kinds.add("palette")
        image = image.convert("RGBA" if mode == "PA" or "transparency" in image.info else "RGB")
    elif mode == "1":
        kinds.add("1-bit")
        image = image.convert("L")
    elif mode[0] in "IF":
        return _scaled(path, image, kinds)
    elif mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        kinds.add("colour space")
        image = image.convert("RGB")
    if image.mode in ("L", "RGB") and "transparency" in image.info:
        image = image.convert("LA" if image.mode == "L" else "RGBA")
    if image.mode in ("LA", "La", "RGBA", "RGBa"):
        return _on_white(image, kinds)
    return image.convert("L" if image.mode == "L" else "RGB")


def _on_white(image: Image.Image, kinds: set[str]) -> Image.Image:
    grey = image.mode in ("LA", "La")
    full = image.convert("LA" if grey else "RGBA")
    alpha = full.getchannel("A")
    if alpha.getextrema() != (255, 255):
        kinds.add("alpha")
    mode = "L" if grey else "RGB"
    return Image.composite(full.convert(mode), Image.new(mode, full.size, "white"), alpha)


def _scaled(path: str | Path, image: Image.Image, kinds: set[str]) -> Image.Image:
    """Grey of 16 or 32 bits by its full scale, never by its own maximum: dark images stay dark."""
    kinds.add("16-bit" if image.mode.startswith("I;16") else "32-bit")
    values = np.asarray(image).astype(np.float64)
    full = _full_scale(image, values)
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > full:
        raise UnreadableImage(path, f"{image.mode} values outside 0 .. {full:g}")
    return Image.fromarray(np.rint(values * (255 / full)).astype(np.uint8))


def _full_scale(image: Image.Image, values: NDArray[np.float64]) -> float:
    if image.mode == "F":
        return 1.0
    if image.mode.startswith("I;16"):
        return 65535.0
    tags = getattr(image, "tag_v2", {})
    if tags.get(_SAMPLE_FORMAT, (1,))[0] == 1:
        values += (values < 0) * 2.0**32
    if values.min() >= 0 and values.max() <= 65535:
        return 65535.0
    return 2.0**31 - 1 if values.max() < 2**31 else 2.0**32 - 1
