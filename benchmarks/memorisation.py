"""Planted copies of training samples, found by class size: recall, and false alarms on real samples that are no copies.

A training set is drawn with the class sizes 5 to 500 (each size for the classes in turn; a class with fewer samples gives half
of them). Copies of every class are planted three ways: exact, moved by one pixel, and with normal noise of 6 grey levels.
The threshold is calibrated on one half of the samples that are not in the training set, and false alarms are counted on the
other half. Recall and false alarms are given by class size, the latter for all classes of a size together.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from benchmarks.runner import Outcome
from evenscore.data import Dataset, load
from evenscore.metrics.memorisation import MemorisationFinder
from evenscore.random import generator

SUMMARY = "Memorisation: planted copies (exact, moved, noised) found and false alarms on real samples, by class size."
SIZES = (5, 10, 20, 50, 100, 200, 500)
RECALL, FALSE = 0.95, 0.02
NOISE = 6 / 127.5
"""Standard deviation of six grey levels of 255."""
PLANTED = 100
HELD_OUT = 400
"""Samples of each class, at most, that are kept out of the training set."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--rounds", type=int, default=3, help="training sets; the classes change their sizes in turn")
    parser.add_argument("--seed", type=int, default=0, help="seed of all draws")


def run(args: argparse.Namespace) -> Outcome:
    """Plant, search and count."""
    data = load(args.data or "digits")
    found: dict[str, list[tuple[int, NDArray[np.bool_]]]] = {}
    for turn in range(args.rounds):
        for kind, size, called in one_round(data, turn, args.seed):
            found.setdefault(kind, []).append((size, called))
    values = {kind: _by_size(rows) for kind, rows in found.items()}
    recalls = [share for kind, shares in values.items() if kind != "false alarms" for share in shares.values()]
    alarms = values["false alarms"]
    holds = min(recalls) >= RECALL and max(alarms.values()) <= FALSE
    shown: dict[str, Any] = {
        "data": data.name,
        **values,
        "least recall": min(recalls),
        "most false": max(alarms.values()),
    }
    return Outcome(shown, {"least recall": RECALL, "most false": FALSE}, holds)


def _by_size(rows: list[tuple[int, NDArray[np.bool_]]]) -> dict[str, float]:
    """Share of called samples of each class size, and of all."""
    sizes = sorted({size for size, _ in rows})
    shares = {str(size): float(np.concatenate([c for s, c in rows if s == size]).mean()) for size in sizes}
    return {**shares, "all": float(np.concatenate([called for _, called in rows]).mean())}


def one_round(data: Dataset, turn: int, seed: int) -> list[tuple[str, int, NDArray[np.bool_]]]:
    """What was called a copy, by kind of sample and class size, for one training set."""
    draws = np.random.default_rng([seed, turn])
    training, calibration, fresh, sizes = split(data, turn, draws)
    x, y = data.tensor(training), torch.from_numpy(data.labels[training])
    real = (data.tensor(calibration), torch.from_numpy(data.labels[calibration]))
    finder = MemorisationFinder(x, y, data.num_classes, held_out=real, seed=seed)
    rows = np.concatenate([draws.choice(np.flatnonzero(y.numpy() == k), PLANTED) for k in range(data.num_classes)])
    kinds = {name: (planted, y[rows]) for name, planted in plant(x[rows], seed, turn).items()}
    kinds["false alarms"] = (data.tensor(fresh), torch.from_numpy(data.labels[fresh]))
    out = []
    for kind, (samples, labels) in kinds.items():
        called = np.array([pair.is_copy for pair in finder.pairs(samples, labels, range(len(samples)))])
        for k, size in enumerate(sizes):
            mine = labels.numpy() == k
            out.append((kind, size, called[mine]))
    return out


def split(
    data: Dataset, turn: int, draws: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], list[int]]:
    """Rows to train on, to calibrate on and to count false alarms on, and the class sizes."""
    training, calibration, fresh, sizes = [], [], [], []
    for k in range(data.num_classes):
        mine = draws.permutation(data.of_class(k))
        size = min(SIZES[(k + turn) % len(SIZES)], len(mine) // 2)
        rest = mine[size : size + HELD_OUT]
        training.append(mine[:size])
        calibration.append(rest[::2])
        fresh.append(rest[1::2])
        sizes.append(size)
    one, two, three = (np.concatenate(rows) for rows in (training, calibration, fresh))
    return one, two, three, sizes


def plant(x: Tensor, seed: int, turn: int) -> dict[str, Tensor]:
    """Copies of images (n, C, H, W): as they are, moved by a pixel in one of eight directions, and with noise."""
    noise = NOISE * torch.randn(x.shape, generator=generator(seed, "noise", turn))
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
    places = torch.tensor([(i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1)])
    chosen = places[torch.randint(8, (len(x),), generator=generator(seed, "moves", turn))].tolist()
    height, width = x.shape[2:]
    moved = [image[:, i : i + height, j : j + width] for image, (i, j) in zip(padded, chosen, strict=True)]
    return {"exact": x, "moved": torch.stack(moved), "noised": (x + noise).clamp(-1, 1)}
