"""Judges generated samples of a study: label agreement and energy distance, by class, by group and for the worst class."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.judge import read
from evenscore.data import Dataset, load, to_uint8
from evenscore.features.judge import Judge
from evenscore.metrics.energy import energy_distance
from evenscore.random import generator

GROUPS = ("worst", "head", "medium", "tail")


class Eye:
    """Judges samples: their label by a classifier of balanced real data, their law by features against held-out samples.

    Args:
        features: uint8 images (N, H, W, C) -> features (N, D) and classes (N,).
        test: held-out data, balanced; every other sample chooses, the rest judges.
    """

    def __init__(
        self, features: Callable[[NDArray[np.uint8]], tuple[NDArray[np.float64], NDArray[np.int64]]], test: Dataset
    ):
        self.features = features
        x, y = features(test.values)[0], test.labels
        halves = generator(0, "halves")
        self.real: dict[str, dict[int, NDArray[np.float64]]] = {"choice": {}, "judge": {}}
        for k in range(test.num_classes):
            mine = np.flatnonzero(y == k)[torch.randperm(int((y == k).sum()), generator=halves).numpy()]
            self.real["choice"][k], self.real["judge"][k] = x[mine[::2]], x[mine[1::2]]

    @classmethod
    def of_digits(cls) -> Eye:
        """A support-vector machine on all digits of the training part; the pixels are the features."""
        from sklearn.svm import SVC

        whole = load("digits")
        assert whole.test is not None
        flat = lambda images: images.reshape(len(images), -1) / 255.0  # noqa: E731
        machine = SVC(C=10, gamma=0.05).fit(flat(whole.values), whole.labels)
        return cls(lambda images: (flat(images), machine.predict(flat(images))), whole.test)

    @classmethod
    def of_judge(cls, path: Path, data: Dataset) -> Eye:
        """A frozen network, and its features in units of their spread."""
        judge = Judge(path)
        assert data.test is not None
        spread = read(judge, data.test.values).features.std()

        def features(images: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
            seen = read(judge, images)
            return seen.features / spread, seen.classes

        return cls(features, data.test)

    def judge(self, x: Tensor, y: NDArray[np.int64], groups: tuple[str, ...]) -> dict[str, Any]:
        """Agreement and energy distance: mean, worst class, by group and by class; and the figure that chooses."""
        features, classes = self.features(to_uint8(x.clamp(-1, 1)))
        right = [float((classes[y == k] == k).mean()) for k in range(len(groups))]
        far = {half: [energy_distance(features[y == k], real[k]) for k in real] for half, real in self.real.items()}
        return {
            "choice": float(np.mean(far["choice"])),
            "agreement": _grouped(right, groups, min),
            "energy": _grouped(far["judge"], groups, max),
        }


def _grouped(by_class: list[float], groups: tuple[str, ...], worst: Callable[[list[float]], float]) -> dict[str, Any]:
    out: dict[str, Any] = {"mean": float(np.mean(by_class)), "worst": worst(by_class), "by class": by_class}
    for group in GROUPS[1:]:
        out[group] = float(np.mean([v for v, g in zip(by_class, groups, strict=True) if g == group] or [np.nan]))
    return out
