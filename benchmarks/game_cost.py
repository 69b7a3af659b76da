"""What a step of the game costs: at 10, 100 and 1000 classes, and beside a step of plain denoising.

A step is that of training: drawing the batch, forward and backward pass, clipping, AdamW and averaged weights. All the
kinds of step that are compared take their turn in every round, in an order that rotates; a ratio is the median over
rounds of the ratio inside a round, of seconds of the processor on one thread.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Hashable, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import NamedTuple, TypeVar

import numpy as np
import torch

from benchmarks.runner import Outcome
from evenscore.configuration import TrainConfig
from evenscore.data import Dataset
from evenscore.objectives import OBJECTIVES
from evenscore.run import DataCard, Run
from evenscore.training import Trainer

SUMMARY = "Time of a mutual-learning step: flat within 10 % from 10 to 1000 classes, at most 1.25 times plain denoising"
K = TypeVar("K", bound=Hashable)
SIZES = {"small": 28, "tiny": 16}
"""Network, and side of its images in pixels."""
FLAT, PLAIN = 1.10, 1.25
"""Bounds of the ratios."""


class Kind(NamedTuple):
    """A kind of step."""

    objective: str
    classes: int = 10
    players: str = "shared"


MUTUAL = Kind("mutual")
RATIOS: Mapping[str, tuple[Kind, Kind, float | None]] = {
    "mutual, 100 to 10 classes": (MUTUAL._replace(classes=100), MUTUAL, FLAT),
    "mutual, 1000 to 10 classes": (MUTUAL._replace(classes=1000), MUTUAL, FLAT),
    "mutual, 1000 to 10 classes, trunk players": (Kind("mutual", 1000, "trunk"), Kind("mutual", 10, "trunk"), FLAT),
    "mutual to denoising": (MUTUAL, Kind("denoising"), PLAIN),
    "cbdm to denoising": (Kind("cbdm"), Kind("denoising"), None),
    "trunk players to shared": (Kind("mutual", 10, "trunk"), MUTUAL, None),
}
"""What is divided by what, and the bound of the ratio, None for information only."""
KINDS = tuple(dict.fromkeys(kind for above, below, _ in RATIOS.values() for kind in (above, below)))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--rounds", type=int, default=15, help="timed rounds, every kind of step once in each")
    parser.add_argument("--batch", type=int, default=64, help="samples per step")


def run(args: argparse.Namespace) -> Outcome:
    """Time all kinds of step on both networks."""
    torch.set_num_threads(1)
    values: dict[str, dict[str, float]] = {}
    for network, side in SIZES.items():
        with tempfile.TemporaryDirectory() as folder:
            trainers = {kind: trainer(kind, network, side, args.batch, Path(folder) / str(kind)) for kind in KINDS}
            spent = interleaved(trainers, args.rounds)
        plain = median(step[Kind("denoising")] for step in spent)
        values[network] = {name: ratio(spent, above, below) for name, (above, below, _) in RATIOS.items()}
        values[network]["denoising, ms per step"] = 1000 * plain
        print(f"{network}: {values[network]}", flush=True)
    limits = {name: limit for name, (_, _, limit) in RATIOS.items() if limit is not None}
    holds = all(values[network][name] <= limit for network in SIZES for name, limit in limits.items())
    return Outcome(values, dict.fromkeys(SIZES, limits), holds)


def trainer(kind: Kind, network: str, side: int, batch: int, folder: Path) -> Trainer:
    """Training of that kind, on images of noise."""
    objective = OBJECTIVES[kind.objective]()
    config = TrainConfig(objective, network, kind.players, batch_size=batch, steps=1000)
    return on_noise(config, kind.classes, side, folder)


def on_noise(config: TrainConfig, classes: int, side: int, folder: Path) -> Trainer:
    """Training in float32 on images of noise in so many classes, ``side`` pixels high and wide."""
    random, count = np.random.default_rng(0), max(2000, 2 * classes)
    images = random.integers(0, 256, (count, side, side), dtype=np.uint8)
    data = Dataset.from_arrays(images, np.arange(count) % classes)
    fixed = replace(config, precision="float32", memory_format="channels_last")
    return Trainer(Run.create(folder, fixed, DataCard.of(data)), data)


def interleaved(trainers: Mapping[K, Trainer], rounds: int) -> list[dict[K, float]]:
    """Processor seconds of a step of each kind in every round, after one round to warm up."""
    kinds, found = list(trainers), []
    for i in range(rounds + 1):
        first = i % len(kinds)
        spent = {}
        for kind in kinds[first:] + kinds[:first]:
            started = time.process_time()
            trainers[kind].one_step()
            spent[kind] = time.process_time() - started
        found.append(spent)
    return found[1:]


def ratio(spent: list[dict[K, float]], above: K, below: K) -> float:
    """Median over rounds of the ratio inside a round."""
    return median(step[above] / step[below] for step in spent)
