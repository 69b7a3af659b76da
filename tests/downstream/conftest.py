"""Small data for comparisons: images and vectors of three unequal classes, and synthetic samples of them."""

from __future__ import annotations

import numpy as np
import pytest

from evenscore.data import Dataset
from evenscore.downstream import Settings

NAMES = ("ant", "bee", "cat")
COUNTS = (24, 8, 4)


def images(counts: tuple[int, ...], seed: int, name: str = "some", test: Dataset | None = None) -> Dataset:
    """Grey images of 8 x 8 pixels whose brightness tells the class, roughly."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    values = random.integers(0, 130, (len(labels), 8, 8, 1)) + 50 * labels[:, None, None, None]
    return Dataset(values.astype(np.uint8), labels, NAMES, name, test=test)


def vectors(counts: tuple[int, ...], seed: int, name: str = "some", test: Dataset | None = None) -> Dataset:
    """Vectors of 4 entries with means that differ by class."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    values = random.normal(size=(len(labels), 4)) + labels[:, None]
    return Dataset(values.astype(np.float32), labels, NAMES, name, test=test)


@pytest.fixture
def settings() -> Settings:
    """A comparison that takes a moment."""
    return Settings(ratios=(0.5, 1.0), seeds=2, steps=3, batch_size=8)


@pytest.fixture
def real() -> Dataset:
    """36 images of three unequal classes, 5 held-out ones of each."""
    return images(COUNTS, 0, "real", images((5, 5, 5), 1, "held out"))


@pytest.fixture
def synthetic() -> Dataset:
    """Synthetic images: enough of the second class, too few of the third."""
    return images((3, 20, 12), 2, "synthetic")


@pytest.fixture
def real_vectors() -> Dataset:
    """Vectors of three unequal classes, 30 held-out ones of each."""
    return vectors((60, 30, 10), 0, "real", vectors((30, 30, 30), 1, "held out"))


@pytest.fixture
def synthetic_vectors() -> Dataset:
    """Synthetic vectors."""
    return vectors((1, 40, 60), 2, "synthetic")
