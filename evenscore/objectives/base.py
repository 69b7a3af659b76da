"""What a training step sees, and what an objective makes of it.

Law: an objective is a frozen record of its hyper-parameters. Called on a noised batch it returns its loss terms per
sample and unreduced, so loss by class and by group costs nothing, and a new objective is one file.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.labels import LabelDistribution
from evenscore.process import Process

Terms = Mapping[str, Tensor]
"""Name of a loss term -> (B,) weighted values, mean over the elements of a sample, one per sample."""


@dataclass(frozen=True)
class Noised:
    """A noised batch.

    Attributes:
        x0: (B, ...) clean samples in [-1, 1].
        y: (B,) labels, always known.
        y_in: (B,) labels given to the denoiser: ``y``, or the null label where the label was dropped.
        t: (B,) times.
        eps: (B, ...) standard normal noise.
        x_t: (B, ...) noisy samples.
    """

    x0: Tensor
    y: Tensor
    y_in: Tensor
    t: Tensor
    eps: Tensor
    x_t: Tensor

    @property
    def kept(self) -> Tensor:
        """(B,) true where the label was not dropped."""
        return self.y_in == self.y


class Objective(ABC):
    """How a denoiser learns from unequal classes. Subclasses are frozen dataclasses.

    Attributes:
        source: paper (and equation) that defines it.
        forwards: denoiser evaluations per training step, for cost estimates.
    """

    source: ClassVar[str]
    forwards: ClassVar[int] = 1

    @abstractmethod
    def __call__(
        self, denoiser: Denoiser, batch: Noised, labels: LabelDistribution, generator: torch.Generator
    ) -> Terms:
        """Loss terms of a batch; their sum over terms, averaged over samples, is what training minimises."""


def drop_labels(y: Tensor, null: int, rate: float, generator: torch.Generator) -> Tensor:
    """Labels with each one replaced by the null label with probability ``rate``, independently per sample."""
    dropped = torch.rand(y.shape, generator=generator) < rate
    return torch.where(dropped.to(y.device), torch.full_like(y, null), y)


def noised(process: Process, x0: Tensor, y: Tensor, y_in: Tensor, t: Tensor, eps: Tensor) -> Noised:
    """The record of a batch noised at times ``t`` with noise ``eps``."""
    return Noised(x0, y, y_in, t, eps, process.perturb(x0, t, eps))


def per_sample(error: Tensor) -> Tensor:
    """Mean over all axes but the first, (B,)."""
    return error.flatten(1).mean(1)
