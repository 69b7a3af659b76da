"""Frozen judges: small classifiers fitted on balanced real data, read from a ``.safetensors`` file that the user names.

A judge gives the label agreement of generated images and features for a Frechet distance ("FD-judge", never FID). It is an
instrument of measurement: nothing is trained or chosen on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from evenscore.data import from_uint8
from evenscore.errors import DataError


class Judge(nn.Module):
    """(N, C, H, W) in [-1, 1] -> logits (N, K): six 3 x 3 convolutions with batch normalisation and GELU, three poolings."""

    def __init__(self, channels: int, classes: int, width: int) -> None:
        super().__init__()
        widths = [channels, width, 2 * width, 2 * width, 4 * width, 4 * width, 4 * width]
        layers: list[nn.Module] = []
        for i, (inward, outward) in enumerate(pairwise(widths)):
            convolution = nn.Conv2d(inward, outward, 3, padding=1, bias=False)
            layers.append(nn.Sequential(convolution, nn.BatchNorm2d(outward), nn.GELU()))
            if i in (1, 3):
                layers.append(nn.MaxPool2d(2))
        self.body = nn.Sequential(*layers, nn.MaxPool2d(2))
        self.head = nn.Linear(4 * width, classes)

    def features(self, x: Tensor) -> Tensor:
        """Pooled features (N, 4 width)."""
        pooled: Tensor = self.body(x).mean((2, 3))
        return pooled


@dataclass(frozen=True)
class Reading:
    """What a judge says of images: pooled features (N, D) in float64, and the class of each."""

    features: NDArray[np.float64]
    classes: NDArray[np.int64]


def load_judge(path: Path) -> Judge:
    """Read a judge; its sizes follow from the shapes in the file.

    Raises:
        DataError: the file is missing or holds another network.
    """
    if not path.is_file():
        raise DataError(f"judge {path} does not exist: give the .safetensors file of a judge with --judge")
    weights = load_file(path)
    try:
        width, channels = weights["body.0.0.weight"].shape[:2]
        judge = Judge(channels, weights["head.weight"].shape[0], width)
        missing = judge.load_state_dict(weights, strict=False).missing_keys
    except (KeyError, RuntimeError) as error:
        raise DataError(f"judge {path} holds another network ({error}): give the file of a judge") from None
    if [key for key in missing if not key.endswith("num_batches_tracked")]:
        raise DataError(f"judge {path} lacks {missing[0]}: give the file of a judge")
    return judge.eval()


@torch.inference_mode()
def read(judge: Judge, images: NDArray[np.uint8]) -> Reading:
    """Judge images uint8 (N, H, W, C)."""
    parts = [judge.features(from_uint8(images[i : i + 500])) for i in range(0, len(images), 500)]
    features = torch.cat(parts)
    return Reading(features.double().numpy(), judge.head(features).argmax(1).numpy())


def agreement(reading: Reading, labels: NDArray[np.int64]) -> dict[str, float | list[float]]:
    """Share of images that the judge gives to their own class: overall, by class, and in the worst class."""
    right = reading.classes == labels
    by_class = [round(float(right[labels == k].mean()), 4) for k in np.unique(labels)]
    return {"overall": round(float(right.mean()), 4), "worst": min(by_class), "by_class": by_class}


def frechet(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Frechet distance between Gaussians fitted to two feature sets (N, D): ``|m1-m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))``."""
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    shift = float(np.square(a.mean(0) - b.mean(0)).sum())
    roots = np.sqrt(np.clip(np.linalg.eigvals(first @ second).real, 0, None)).sum()
    return shift + float(np.trace(first) + np.trace(second) - 2 * roots)
