"""Image files that lie: bombs, other formats under another name, damaged and endless ones.

Each stands among good pictures, is left out, and is named with the reason; a bomb is found in its header.
"""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

from benchmarks.hostile_cases.case import DONE, Place, hostile, picture, pictures

SKIPPED = "inspect {data} --json"
OTHER = "not a PNG, JPEG, BMP, GIF, WebP, TIFF or PPM image"


def _among(place: Place, content: bytes, name: str = "bad.png") -> None:
    pictures(place.data)
    (place.data / "cat" / name).write_bytes(content)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _png(width: int, height: int, data: bytes = b"", more: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = _chunk(b"IHDR", header) + more + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def _tiff(tags: dict[int, tuple[int, int, int]], following: int = 0) -> bytes:
    """A little-endian TIFF of one directory at offset 8: tag -> (type, count, value)."""
    entries = b"".join(struct.pack("<HHII", tag, *tags[tag]) for tag in sorted(tags))
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + entries + struct.pack("<I", following)


TIFF = {256: (4, 1, 8), 257: (4, 1, 8), 258: (3, 1, 8), 259: (3, 1, 1), 262: (3, 1, 1), 273: (4, 1, 8), 279: (4, 1, 64)}


@hostile(SKIPPED, DONE, "more than 64000000")
def png_bomb(place: Place) -> None:
    """A PNG that claims 50000 x 50000 pixels."""
    _among(place, _png(50_000, 50_000))


@hostile(SKIPPED, DONE, "more than 64000000")
def png_bomb_below_the_decoders_limit(place: Place) -> None:
    """A PNG of 10000 x 10000 pixels, of which the decoder only warns."""
    _among(place, _png(10_000, 10_000))


@hostile(SKIPPED, DONE, "")
def png_of_zeros_beyond_its_size(place: Place) -> None:
    """An 8 x 8 PNG whose data expand to 256 megabytes and whose checksum is wrong."""
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(bytes(2**20)) for _ in range(256)) + packer.flush()
    _among(place, _png(8, 8, data)[:-30])


@hostile(SKIPPED, DONE, "damaged or truncated")
def png_text_bomb(place: Place) -> None:
    """A PNG with a compressed comment of 256 megabytes."""
    packer = zlib.compressobj(9)
    text = b"".join(packer.compress(bytes(2**20)) for _ in range(256)) + packer.flush()
    _among(place, _png(8, 8, zlib.compress(bytes(72)), _chunk(b"zTXt", b"comment\0\0" + text)))


@hostile(SKIPPED, DONE, "more than 64000000")
def tiff_bomb(place: Place) -> None:
    """A TIFF that claims four thousand million columns."""
    _among(place, _tiff({**TIFF, 256: (4, 1, 2**32 - 1), 257: (4, 1, 2**31)}), "bad.tif")


@hostile(SKIPPED, DONE, "damaged or truncated")
def tiff_of_endless_strips(place: Place) -> None:
    """A TIFF whose strips are said to lie four gigabytes further on."""
    _among(place, _tiff({**TIFF, 273: (4, 1, 2**32 - 9), 279: (4, 1, 2**32 - 1)}), "bad.tif")


@hostile(SKIPPED, DONE, "")
def tiff_in_a_circle(place: Place) -> None:
    """A TIFF whose next page is the first one."""
    _among(place, _tiff(TIFF, 8) + bytes(64), "bad.tif")


@hostile(SKIPPED, DONE, "more than 64000000")
def gif_bomb(place: Place) -> None:
    """A GIF with a screen of 65535 x 65535 pixels."""
    content = b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0x80, 0, 0) + bytes(6)
    _among(place, content + b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02D\x01\0;", "bad.gif")


@hostile(SKIPPED, DONE, "several frames")
def gif_of_a_hundred_thousand_frames(place: Place) -> None:
    """An animation that would take long to count."""
    frame = b"," + struct.pack("<HHHHB", 0, 0, 8, 8, 0) + b"\x02\x07\x84\x8f\xa9\xcb\xed\x0f\x63\x2b\0"
    head = b"GIF89a" + struct.pack("<HHBBB", 8, 8, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    _among(place, head + frame * 100_000 + b";", "many.gif")


@hostile(SKIPPED, DONE, OTHER)
def icon_bomb(place: Place) -> None:
    """An ICO named .png, whose directory names thousands of pictures."""
    entry = struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, 2**31, 22)
    _among(place, struct.pack("<HHH", 0, 1, 60_000) + entry * 60_000)


@hostile(SKIPPED, DONE, OTHER)
def svg_as_png(place: Place) -> None:
    """An SVG with a script and a reference to a file, named .png."""
    text = f'<!DOCTYPE svg [<!ENTITY x SYSTEM "file://{place.outside}/precious.txt">]><svg onload="alert(1)">&x;</svg>'
    _among(place, text.encode())


@hostile(SKIPPED, DONE, OTHER)
def postscript_as_png(place: Place) -> None:
    """An EPS named .png, which another program would be asked to run."""
    _among(place, f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n({place.canary}) (w) file closefile\n".encode())


@hostile(SKIPPED, DONE, OTHER)
def text_as_png(place: Place) -> None:
    """Text named .png."""
    _among(place, b"#!/bin/sh\ntouch canary\n")


@hostile(SKIPPED, DONE, OTHER)
def empty_file(place: Place) -> None:
    """A file of no bytes."""
    _among(place, b"")


@hostile(SKIPPED, DONE, "damaged or truncated")
def half_a_png(place: Place) -> None:
    """A PNG that ends in the middle."""
    whole = picture(place.root / "whole.png", size=64).read_bytes()
    _among(place, whole[: len(whole) // 2])


@hostile(SKIPPED, DONE, "damaged or truncated")
def half_a_jpeg(place: Place) -> None:
    """A JPEG that ends in the middle."""
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8)).save(buffer, "JPEG")
    _among(place, buffer.getvalue()[:700], "bad.jpg")


@hostile(SKIPPED, DONE, "7")
def png_with_an_archive_behind_it(place: Place) -> None:
    """A picture that is also a zip and a page: it is a picture, and nothing else is made of it."""
    whole = picture(place.root / "whole.png", 50).read_bytes()
    _among(place, whole + b"PK\x03\x04<script>alert(1)</script>", "both.png")


@hostile(SKIPPED, DONE, "")
def damaged_compressed_tiff(place: Place) -> None:
    """A TIFF of compressed strips with flipped bits, which a decoder in C complains of by itself."""
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8)
    Image.fromarray(noise).save(buffer, "TIFF", compression="tiff_lzw")
    content = bytearray(buffer.getvalue())
    content[200:260] = bytes(60)
    _among(place, bytes(content), "bad.tif")


@hostile("inspect {data} --strict", (3,), "cannot be used")
def bomb_where_nothing_may_be_skipped(place: Place) -> None:
    """A bomb under --strict."""
    _among(place, _png(50_000, 50_000))
