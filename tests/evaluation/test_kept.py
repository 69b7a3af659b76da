"""Kept images are those that went by, found again by their numbers; nearest rows are those of all distances at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from evenscore.data import Dataset
from evenscore.evaluation import generated as generated_module
from evenscore.evaluation import kept as kept_module
from evenscore.evaluation import of_dataset
from evenscore.evaluation.kept import Kept, nearest_rows


def test_images_are_found_by_their_numbers(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generated_module, "BATCH", 17)
    with Kept(2) as kept:
        watched = kept.watching(of_dataset(digits))
        for _ in range(2):
            labels = torch.cat([part.labels for part in watched.parts()])
            assert labels.tolist() == digits.labels.tolist()
        assert (kept.images([5, 300, 0]) == digits.values[[5, 300, 0]]).all()
        assert kept.images([]).shape == (0, *digits.values.shape[1:])
        assert kept.first == {name: digits.of_class(k)[:2].tolist() for k, name in enumerate(digits.class_names)}
        with pytest.raises(KeyError):
            kept.images([len(digits)])


def test_vectors_go_by_unkept() -> None:
    data = Dataset.from_arrays(np.zeros((4, 3), np.float32), [0, 0, 1, 1])
    with Kept(2) as kept:
        source = of_dataset(data)
        assert kept.watching(source) is source
        assert kept.first == {}


def test_nearest_rows_are_the_nearest(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_module, "CHUNK", 50)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (9, 8, 8, 1), dtype=np.uint8)
    images[3] = digits.values[200]
    apart = (images[:, None].astype(float) - digits.values[None].astype(float)) ** 2
    expected = apart.reshape(9, len(digits), -1).sum(2).argmin(1)
    found = nearest_rows(images, digits)
    assert found.tolist() == expected.tolist()
    assert found[3] == 200
