"""Real and synthetic samples together: how many of each class, which ones, and how batches are drawn.

Class k gets min(available_k, round(R (n_max - n_k))) synthetic samples: at R = 1 all classes are as large as the largest. The
samples of a smaller ratio are among those of a larger one.

The weight w of a synthetic sample says how often it is drawn, in units of a real one: with n real and m synthetic ones a share
w m / (n + w m) of all places in batches is synthetic, the running total rounded down. In expectation this is the gradient of
the cross-entropy in which a synthetic sample weighs w; unlike a factor on the loss it also holds for the statistics of batch
normalisation, and wastes no place in a batch. What DiffuLT (2024) does is not known to us in formulas; this is derived here.

Law: real and synthetic samples are drawn from two streams that do not touch, each of which shows every sample once a round. So
with weight 0 every batch is that of the row without synthetic data, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor

import numpy as np
import torch
from numpy.typing import NDArray

from evenscore.data import Dataset, Loader
from evenscore.random import derive_seed, generator

Indices = NDArray[np.int64]


def wanted_counts(counts: Sequence[int], ratio: float) -> tuple[int, ...]:
    """round(R (n_max - n_k)) for each class."""
    return tuple(round(ratio * (max(counts) - n)) for n in counts)


def used_counts(counts: Sequence[int], available: Sequence[int], ratio: float) -> tuple[int, ...]:
    """Synthetic samples of each class that a ratio uses: what it wants, or what there is where that is less."""
    return tuple(min(a, w) for a, w in zip(available, wanted_counts(counts, ratio), strict=True))


def choose(synthetic: Dataset, used: Sequence[int], seed: int) -> Indices:
    """Indices of the synthetic samples that are used, ascending: the first of a seeded order of each class."""
    chosen = []
    for k, count in enumerate(used):
        mine = synthetic.of_class(k)
        order = torch.randperm(len(mine), generator=generator(seed, "downstream", "chosen", k)).numpy()
        chosen.append(mine[order[:count]])
    return np.sort(np.concatenate(chosen))


class Batches:
    """Indices of the real and the synthetic samples of every step.

    Args:
        real: the real data.
        synthetic: the synthetic samples that are used, or None.
        policy: of the real samples, ``as-found`` or ``uniform``.
        weight: of a synthetic sample.
        batch_size: B.
        seed: of all draws.
    """

    def __init__(
        self, real: Dataset, synthetic: Dataset | None, policy: str, weight: float, batch_size: int, seed: int
    ) -> None:
        self.batch_size = batch_size
        self.real = Loader(real, batch_size, policy, derive_seed(seed, "downstream", "real"))
        self.share = 0.0
        self.synthetic: Loader | None = None
        if synthetic is not None and weight > 0:
            mass = weight * len(synthetic)
            self.share = mass / (len(real) + mass)
            self.synthetic = Loader(synthetic, batch_size, seed=derive_seed(seed, "downstream", "synthetic"))

    def __call__(self, step: int) -> tuple[Indices, Indices]:
        """Real and synthetic indices of ``step``, B together."""
        if self.synthetic is None:
            return self.real.batch(step), np.empty(0, dtype=np.int64)
        before, after = self._drawn(step), self._drawn(step + 1)
        real = self.real.stretch(step * self.batch_size - before, self.batch_size - (after - before))
        return real, self.synthetic.stretch(before, after - before)

    def _drawn(self, steps: int) -> int:
        """Synthetic places in the first ``steps`` batches."""
        return floor(steps * self.batch_size * self.share)
