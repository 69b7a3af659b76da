"""Class moments: equal to those computed directly, in few coordinates, the same every time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from evenscore.data import Dataset
from evenscore.labels import LabelDistribution
from evenscore.objectives.coupling import similarity
from evenscore.training import class_moments as module
from evenscore.training.class_moments import class_moments


def vectors(n: int, dim: int, classes: int, seed: int = 0) -> Dataset:
    random = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), random.integers(0, classes, n - classes)])
    place = random.normal(size=(classes, dim))
    x = 50 + place[labels] + random.normal(size=(n, dim)) @ random.normal(size=(dim, dim))
    return Dataset.from_arrays(x.astype(np.float32), labels)


@pytest.mark.parametrize("part", [7, 4096])
def test_distances_between_classes_are_those_computed_directly(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PART", part)
    data = vectors(60, 3, 4)
    found = class_moments(data)
    x = np.asarray(data.values, dtype=np.float64)
    means = np.stack([x[data.labels == k].mean(0) for k in range(4)])
    rest = x - means[data.labels]
    whole = np.linalg.inv(rest.T @ rest / (60 - 4))
    for i in range(4):
        for j in range(4):
            gap = (found.means[i] - found.means[j]).numpy()
            direct = means[i] - means[j]
            assert gap @ gap == pytest.approx(direct @ direct, rel=1e-6)
            ours = gap @ np.linalg.inv(found.within.numpy()) @ gap
            assert ours == pytest.approx(direct @ whole @ direct, rel=1e-5)
    assert found.counts == data.distribution.counts


def test_many_coordinates_become_sixteen(digits: Dataset) -> None:
    one, again = class_moments(digits), class_moments(digits)
    assert one.means.shape == (10, 16)
    assert one.within.shape == (16, 16)
    assert torch.equal(one.means, again.means)
    assert torch.equal(one.within, again.within)
    assert float(torch.linalg.eigvalsh(one.within).min()) > 0


def test_near_classes_of_real_images_are_similar(digits: Dataset) -> None:
    law = similarity(class_moments(digits), 1.0)
    assert law.shape == (10, 10)
    assert float(law.max()) <= 0.1
    off = law[~torch.eye(10, dtype=torch.bool)]
    assert float(off.max()) > 5 * float(off.min()), "some classes are nearer than others"


def test_the_same_pictures_under_two_labels_are_as_near_as_can_be() -> None:
    random = np.random.default_rng(3)
    labels = np.arange(400) % 4
    x = random.normal(size=(400, 2)) + 20.0 * np.array([[0, 0], [0, 0], [1, 0], [0, 1]])[labels]
    law = similarity(class_moments(Dataset.from_arrays(x.astype(np.float32), labels)), 1.0)
    assert LabelDistribution.of(labels.tolist(), 4).counts == (100,) * 4
    assert float(law[0, 1]) > 0.1
    assert float(law[0, 1]) >= float(law.max()) - 1e-12
