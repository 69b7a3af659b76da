"""What a training step sees, and what an objective makes of it.

Law: an objective is a frozen record of its hyper-parameters. Called on a noised batch it returns its loss terms per
sample and unreduced, so loss by class and by group costs nothing, and a new objective is one file. It keeps nothing on
itself: what it must remember from step to step is a mapping of tensors that training holds for it and saves.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, Self

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
        progress: share of the budget used before this step, 0 to 1, for schedules.
        memory: what the objective remembers from earlier steps, see :meth:`Objective.remember`.
    """

    x0: Tensor
    y: Tensor
    y_in: Tensor
    t: Tensor
    eps: Tensor
    x_t: Tensor
    progress: float = 1.0
    memory: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def kept(self) -> Tensor:
        """(B,) true where the label was not dropped."""
        return self.y_in == self.y


@dataclass(frozen=True)
class ClassMoments:
    """Where the classes of a training set lie, in D coordinates that are cheap to compute.

    Attributes:
        means: (K, D) mean of each class, float64; anything finite where a class has no sample.
        counts: samples of each class.
        within: (D, D) covariance inside the classes, pooled over them, float64.
    """

    means: Tensor
    counts: tuple[int, ...]
    within: Tensor


NEEDS = ("null", "latents", "reserve")
"""What an objective may need: predictions without a label, latents of the network, capacity reserved in it."""


class Cost(NamedTuple):
    """What a training step costs for each row: denoiser evaluations, and how many of them a gradient goes back through."""

    forwards: float
    backwards: float


class Objective(ABC):
    """How a denoiser learns from unequal classes. Subclasses are frozen dataclasses.

    Attributes:
        source: paper (and equation) that defines it.
        forwards: denoiser evaluations per training step and row at the default settings, with or without a gradient.
        backwards: how many of them a gradient goes back through.
        neutral: settings at which it is plain denoising exactly.
        couples_rows: whether the terms of a row depend on the other rows of its batch at the default settings.
        needs_null: whether it uses predictions without a label, so that training must drop some labels.
        needs_latents: whether it uses latents, so that all labels must share one network.
        needs_reserve: whether it trains capacity that is reserved in the network, so that all labels must share one.
    """

    source: ClassVar[str]
    forwards: ClassVar[float] = 1.0
    backwards: ClassVar[float] = 1.0
    neutral: ClassVar[Mapping[str, Any]] = {}
    couples_rows: ClassVar[bool] = False
    needs_null: ClassVar[bool] = False
    needs_latents: ClassVar[bool] = False
    needs_reserve: ClassVar[bool] = False

    def needs(self, what: str) -> bool:
        """Whether it needs one of :data:`NEEDS`."""
        return bool(getattr(self, f"needs_{what}"))

    def cost(self) -> Cost:
        """What a step costs for each row, at the default settings."""
        return Cost(self.forwards, self.backwards)

    def independent(self) -> bool:
        """Whether the terms of a row depend on that row alone, for the same draws."""
        return not self.couples_rows

    def level_weights(self, log_snr: Tensor) -> dict[str, Tensor]:
        """How strongly each of its own terms acts at noise levels: name -> weights (n,), strength and class left out."""
        return {}

    def equip(self, denoiser: Denoiser) -> None:
        """Add to a fresh denoiser what is trained with it, such as a projection."""
        return None

    def release(self, denoiser: Denoiser) -> None:
        """Take from a trained denoiser what :meth:`equip` added; what it predicts stays the same."""
        return None

    @abstractmethod
    def __call__(
        self, denoiser: Denoiser, batch: Noised, labels: LabelDistribution, generator: torch.Generator
    ) -> Terms:
        """Loss terms of a batch; their sum over terms, averaged over samples, is what training minimises."""

    def bind(self, measure: Callable[[], ClassMoments]) -> Self:
        """This objective for one training set; ``measure`` is called only by an objective that has to know it."""
        return self

    def label_dropout(self, rate: float, labels: LabelDistribution) -> float | Tensor:
        """Probability with which a label is dropped, or one for each class (K,), where ``rate`` was asked for all."""
        return rate

    def remember(self, labels: LabelDistribution) -> Mapping[str, Tensor]:
        """What it remembers before the first step: tensors by name, of fixed shapes."""
        return {}

    def learn(
        self, memory: Mapping[str, Tensor], batch: Noised, terms: Terms, labels: LabelDistribution
    ) -> Mapping[str, Tensor]:
        """What it remembers after a batch with these loss terms; ``memory`` is left as it is."""
        return memory


def drop_labels(y: Tensor, null: int, rate: float | Tensor, generator: torch.Generator) -> Tensor:
    """Labels with each one replaced by the null label with probability ``rate``, independently per sample.

    Args:
        y: (B,) labels.
        null: the null label.
        rate: one probability, or one for each class (K,).
        generator: on the CPU.
    """
    own = rate[y].to(torch.float32).cpu() if isinstance(rate, Tensor) else rate
    dropped = torch.rand(y.shape, generator=generator) < own
    return torch.where(dropped.to(y.device), torch.full_like(y, null), y)


def noised(process: Process, x0: Tensor, y: Tensor, y_in: Tensor, t: Tensor, eps: Tensor) -> Noised:
    """The record of a batch noised at times ``t`` with noise ``eps``, at the end of the budget and with no memory."""
    return Noised(x0, y, y_in, t, eps, process.perturb(x0, t, eps))


def per_sample(error: Tensor) -> Tensor:
    """Mean over all axes but the first, (B,)."""
    return error.flatten(1).mean(1)
