"""Data: sources (folders, archives, arrays, built-in digits), long-tailed subsets, the loader, and augmentation."""

from __future__ import annotations

from evenscore.data.archive import read_archive
from evenscore.data.augment import AUGMENTATIONS, Augmentation
from evenscore.data.builtin import BUILTIN, digits
from evenscore.data.dataset import Dataset, Skipped
from evenscore.data.folder import read_folder
from evenscore.data.load import SOURCES, Spec, load, parse_size, parse_spec
from evenscore.data.loader import POLICIES, Loader
from evenscore.data.longtail import LongTail, long_tail_counts, long_tail_indices
from evenscore.data.pixels import UnreadableImage, from_uint8, read_image, save_png, to_uint8

from_arrays = Dataset.from_arrays

__all__ = [
    "AUGMENTATIONS",
    "BUILTIN",
    "POLICIES",
    "SOURCES",
    "Augmentation",
    "Dataset",
    "Loader",
    "LongTail",
    "Skipped",
    "Spec",
    "UnreadableImage",
    "digits",
    "from_arrays",
    "from_uint8",
    "load",
    "long_tail_counts",
    "long_tail_indices",
    "parse_size",
    "parse_spec",
    "read_archive",
    "read_folder",
    "read_image",
    "save_png",
    "to_uint8",
]
