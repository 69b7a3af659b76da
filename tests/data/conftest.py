"""Small image folders made of random pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

MakeFolder = Callable[..., Path]


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """``make_folder({"cat": 3, "dog": 2}, size=(H, W), mode="RGB", root="data")`` writes PNG files there."""

    def make(classes: Mapping[str, int], size: tuple[int, int] = (6, 8), mode: str = "RGB", root: str = "data") -> Path:
        rng = np.random.default_rng(0)
        for name, count in classes.items():
            folder = tmp_path / root / name
            folder.mkdir(parents=True, exist_ok=True)
            for i in range(count):
                shape = size if mode == "L" else (*size, 3)
                Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(folder / f"{i}.png")
        return tmp_path / root

    return make
