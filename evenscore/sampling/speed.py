"""How many samples a second each of several ways makes, measured in turn so that a busy machine is busy for all.

Law: every way draws the same labels with the same seed in every round; a round measures each once, every second round in the
opposite order, after each was run once unmeasured; ratios are taken within rounds.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.errors import UsageError
from evenscore.sampling.generate import Sampler, generate


@dataclass(frozen=True)
class Way:
    """A model and how it is sampled: ``Way(run.model(), ONE_STEP)`` for a one-step generator."""

    model: Denoiser
    sampler: Sampler


@dataclass(frozen=True)
class Speeds:
    """What was measured.

    Attributes:
        samples: drawn in each measurement.
        seconds: of each round, by the name of the way.
    """

    samples: int
    seconds: Mapping[str, tuple[float, ...]]

    def per_second(self, name: str) -> float:
        """Samples per second of a way: the median over rounds."""
        return self.samples / statistics.median(self.seconds[name])

    def ratio(self, name: str, other: str) -> float:
        """How many times as many samples per second the way ``name`` makes as ``other``: the median over rounds."""
        pairs = zip(self.seconds[name], self.seconds[other], strict=True)
        return statistics.median(theirs / mine for mine, theirs in pairs)


def speeds(
    ways: Mapping[str, Way],
    labels: Tensor,
    *,
    rounds: int = 5,
    batch_size: int = 100,
    seed: int = 0,
    device: str | torch.device = "cpu",
) -> Speeds:
    """Measure every way.

    Args:
        ways: by name.
        labels: (N,) class of each sample that is drawn in a measurement.
        rounds: measurements of each way.
        batch_size: samples computed together.
        seed: of the samples.
        device: where to compute.

    Raises:
        UsageError: no label or round.
    """
    if len(labels) < 1 or rounds < 1:
        raise UsageError(f"{len(labels)} samples in {rounds} rounds cannot be timed: give at least 1 of each")
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name in [*ways][:: -1 if number % 2 else 1]:
            started = time.perf_counter()
            way = ways[name]
            for _ in generate(way.model, labels, seed=seed, sampler=way.sampler, batch_size=batch_size, device=device):
                pass
            if number:
                found[name].append(time.perf_counter() - started)
    return Speeds(len(labels), {name: tuple(values) for name, values in found.items()})
