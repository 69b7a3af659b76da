"""Means by class with intervals, and the sign of a memorised class.

Law: a mean always comes with its number of samples and, from two samples on, a 95 % t interval; a class without samples
has no mean. A class is said to be memorised only if its training samples are cheaper than its held-out ones both by
:data:`NOTABLE` bits per dimension and beyond chance: of random divisions of the two parts together, at most
:data:`CHANCE` set them so far apart. Unlike an interval, this is exact for a class of two training samples. Both limits
are conventions; a smaller gap is the ordinary price of having been seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from scipy.special import stdtrit
from torch import Tensor

from evenscore.random import generator

NOTABLE = 0.5
CHANCE = 0.02
DIVISIONS = 5000


@dataclass(frozen=True)
class Mean:
    """A mean over samples.

    Attributes:
        n: number of samples, at least 1.
        value: their mean.
        interval: 95 % t interval, None for a single sample.
    """

    n: int
    value: float
    interval: tuple[float, float] | None

    @classmethod
    def of(cls, values: Tensor) -> Mean:
        """The mean of ``values`` (N,), N at least 1."""
        n, mean = len(values), float(values.double().mean())
        if n == 1:
            return cls(1, mean, None)
        half = float(stdtrit(n - 1, 0.975)) * float(values.double().std()) / math.sqrt(n)
        return cls(n, mean, (mean - half, mean + half))


def means_by_class(values: Tensor, labels: Tensor, num_classes: int) -> tuple[Mean | None, ...]:
    """The mean of the values (N,) of each class; None where a class has no samples."""
    parts = [values[labels == k] for k in range(num_classes)]
    return tuple(Mean.of(part) if len(part) else None for part in parts)


@dataclass(frozen=True)
class Gap:
    """How much cheaper the training samples of a class are than its held-out ones.

    Attributes:
        value: held-out mean minus training mean, bits per dimension; above 0 when training samples are likelier.
        chance: share of random divisions that set the parts at least so far apart.
    """

    value: float
    chance: float

    @property
    def memorised(self) -> bool:
        """Whether the class shows the sign of memorisation."""
        return self.value >= NOTABLE and self.chance <= CHANCE


def gap(training: Tensor, held_out: Tensor, seed: int = 0) -> Gap:
    """Compare the bits of training samples (N,) with those of held-out samples (M,), N and M at least 1."""
    n, m = len(training), len(held_out)
    together = torch.cat([training, held_out]).double()
    value = float(held_out.double().mean() - training.double().mean())
    order = torch.rand(DIVISIONS, n + m, generator=generator(seed, "divisions")).argsort(1)
    drawn = together[order[:, :n]].mean(1)
    apart = (together.sum() - n * drawn) / m - drawn
    as_far = int((apart >= value - 1e-12).sum())
    return Gap(value, (as_far + 1) / (DIVISIONS + 1))


def gaps_by_class(
    training: tuple[Tensor, Tensor], held_out: tuple[Tensor, Tensor], num_classes: int
) -> Sequence[Gap | None]:
    """The gap of each class; None where a part has no samples of it.

    Args:
        training: values (N,) and labels (N,).
        held_out: values (M,) and labels (M,).
        num_classes: K.
    """
    pairs = [tuple(values[labels == k] for values, labels in (training, held_out)) for k in range(num_classes)]
    return [gap(one, other, k) if len(one) and len(other) else None for k, (one, other) in enumerate(pairs)]
