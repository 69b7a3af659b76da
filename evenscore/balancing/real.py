"""The real part of a balanced folder: the images as they are, linked or copied, and marked as real."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from evenscore.balancing.plan import ClassPlan
from evenscore.data import Dataset
from evenscore.data.pixels import png_bytes
from evenscore.random import generator
from evenscore.writing import ImageFolder, Piece, Store, content_of

LONGEST = 200
"""Bytes of a file name that are kept; file systems take 255."""


def write_real(data: Dataset, store: Store, plan: tuple[ClassPlan, ...], seed: int) -> int:
    """Write the real images that the plan keeps; returns the store's mark after them.

    In a folder, files are linked (copied where links are not possible) with their own content; images without a file are
    written as PNG. A class with more real images than wanted keeps a seeded random choice of them.
    """
    if isinstance(store, ImageFolder):
        return store.record(_records(data, store, plan, seed))
    return store.add(_pieces(data, plan, seed))


def _pieces(data: Dataset, plan: tuple[ClassPlan, ...], seed: int) -> Iterator[Piece]:
    """The same images for a shard, in which the name of a file would be torn at its first dot."""
    for k, row in enumerate(plan):
        for index in kept(data, k, row.keep, seed).tolist():
            source = None if data.files is None else data.files[index]
            content = png_bytes(data.values[index]) if source is None else content_of(source)
            suffix = ".png" if source is None else source.suffix.lower()
            yield Piece(k, f"real-{index:07d}", suffix, content, {"label": row.name, "synthetic": False})


def _records(data: Dataset, folder: ImageFolder, plan: tuple[ClassPlan, ...], seed: int) -> Iterator[dict[str, Any]]:
    for k, row in enumerate(plan):
        for index in kept(data, k, row.keep, seed):
            name = _write(data, folder, k, int(index))
            yield {"file_name": name, "label": row.name, "synthetic": False}


def kept(data: Dataset, k: int, count: int, seed: int) -> NDArray[np.int64]:
    """Indices of the real samples of class ``k`` that are kept, ascending."""
    mine = data.of_class(k)
    order = torch.randperm(len(mine), generator=generator(seed, "keep", k)).numpy()
    return np.sort(mine[order[:count]])


def _write(data: Dataset, folder: ImageFolder, k: int, index: int) -> str:
    if data.files is None:
        return folder.save(k, f"real-{index:07d}.png", data.values[index])
    source = data.files[index]
    return folder.link(k, f"real-{index:07d}{_ending(source)}", source)


def _ending(source: Path) -> str:
    """The name of the file after a dash; its suffix alone where the name is too long or not UTF-8."""
    name = source.name.encode(errors="replace")
    return f"-{source.name}" if len(name) <= LONGEST and name.decode() == source.name else source.suffix
