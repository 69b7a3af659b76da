"""Shared by all tests: the smallest real data set, a configuration that trains in a moment, and a trained run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evenscore.configuration import TrainConfig
from evenscore.data import Dataset, load
from evenscore.training import train

QUICK: dict[str, Any] = {
    "network": "tiny",
    "precision": "float32",
    "batch_size": 16,
    "steps": 4,
    "checkpoint_every": 2,
    "previews": 0,
    "warmup": 2,
}


@pytest.fixture(scope="session")
def digits() -> Dataset:
    """The built-in digits, the largest class about 50 times the smallest."""
    return load("digits:factor=50")


@pytest.fixture(scope="session")
def quick() -> Callable[..., TrainConfig]:
    """``quick(steps=6)``: a configuration that trains in a moment, with what is given changed."""
    return lambda **changed: TrainConfig(**{**QUICK, **changed})


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, digits: Dataset, quick: Callable[..., TrainConfig]) -> Path:
    """A run folder of four steps; tests must not change it."""
    path = tmp_path_factory.mktemp("runs") / "run"
    assert [progress.event for progress in train(digits, path, quick())] == ["step", "saved", "step", "saved", "done"]
    return path
