"""How likely a run finds real samples: bits per dimension, by class, as figures with intervals.

Law: the bits of a sample depend on the sample, its label, the seed and its own index, never on what else is asked. A figure of
several classes is the mean over their samples, of which there are at most as many of each class as were asked for, with
Student's interval; so it is a little wide where classes differ. Fewer bits are likelier. Classes differ in how much there is
to say of them, so bits compare runs on one class, not classes with each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evenscore.data import Dataset
from evenscore.denoisers.base import Denoiser
from evenscore.likelihood import BYTE_OFFSET, Likelihood, Mean, bits_per_dim, dequantise, log_prob
from evenscore.metrics.base import Figure
from evenscore.random import derive_seed

BATCH = 25


def chosen(data: Dataset, per_class: int, seed: int) -> NDArray[np.int64]:
    """Indices of at most ``per_class`` samples of each class, drawn without replacement, class by class."""
    random = np.random.default_rng(derive_seed(seed, "chosen"))
    return np.concatenate([random.permutation(data.of_class(k))[:per_class] for k in range(data.num_classes)])


def bits_of(
    denoiser: Denoiser, data: Dataset, indices: NDArray[np.int64], how: Likelihood, seed: int
) -> Iterator[Tensor]:
    """Bits per dimension (B,) of the samples at ``indices``, batch by batch; of images those of their dequantised bytes.

    Args:
        denoiser: the model, whose classes are those of the data.
        data: real samples.
        indices: which of them.
        how: tolerance and divergence.
        seed: with a sample's index, fixes its dequantisation and its probe.
    """
    device = next(chain(denoiser.parameters(), denoiser.buffers())).device
    size, image = int(np.prod(data.shape)), data.kind == "image"
    for first in range(0, len(indices), BATCH):
        index = indices[first : first + BATCH]
        numbers, x = index.tolist(), data.tensor(index)
        x = dequantise(x, seed, numbers) if image else x
        y = torch.from_numpy(data.labels[index])
        density = log_prob(denoiser, x.to(device), y.to(device), how=how, seed=seed, indices=numbers)
        yield bits_per_dim(density.cpu(), size, BYTE_OFFSET if image else 0.0)


@dataclass(frozen=True, eq=False)
class Bits:
    """Bits per dimension (N,) of real samples, and their labels (N,)."""

    values: Tensor
    labels: Tensor

    def figure(self, members: Sequence[int]) -> Figure:
        """The mean over the samples of some classes; its numbers of samples are those of the real ones."""
        values = self.values[torch.isin(self.labels, torch.tensor(list(members)))]
        if len(values) == 0:
            return Figure(None, None, None, 0, 0, "no real samples")
        mean = Mean.of(values)
        low, high = mean.interval or (None, None)
        return Figure(mean.value, low, high, mean.n, mean.n)
