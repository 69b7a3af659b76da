"""A denoiser predicts the clean sample from a noisy one, its class and the noise time.

Law: every view of the returned :class:`~evenscore.prediction.Prediction` agrees; label ``num_classes`` is the null
label ("no class given"), an index like any other, so it may differ from row to row of a batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from evenscore.errors import UsageError
from evenscore.prediction import Prediction
from evenscore.process import Process


class Denoiser(nn.Module, ABC):
    """Base of everything that denoises: trained networks, exact oracles, foreign models, guided denoisers.

    Attributes:
        process: the noise process whose ``x_t`` it understands.
        num_classes: K; labels are ``0 .. K-1``, and K is the null label.
        shape: shape of one sample, (C, H, W) or (D,).
    """

    process: Process
    num_classes: int
    shape: tuple[int, ...]

    @abstractmethod
    def forward(self, x_t: Tensor, t: Tensor, y: Tensor) -> Prediction:
        """Denoise.

        Args:
            x_t: (B, *shape) noisy samples.
            t: (B,) times.
            y: (B,) int64 labels, ``num_classes`` for none.
        """

    def predict(self, x_t: Tensor, t: Tensor, y: Tensor) -> Prediction:
        """:meth:`forward`, typed: what calling the denoiser returns."""
        prediction: Prediction = self(x_t, t, y)
        return prediction

    def observe(self, x_t: Tensor, t: Tensor, y: Tensor) -> tuple[Prediction, Tensor]:
        """:meth:`predict`, and latents (B, F) of the same pass: what the middle of the network makes of each row.

        Raises:
            UsageError: it has none, or none that all labels share.
        """
        raise UsageError(
            f"{type(self).__name__} has no latents that all labels share: use a network of players=shared or players=trunk"
        )

    def predict_general(self, x_t: Tensor, t: Tensor, y: Tensor) -> Prediction:
        """:meth:`predict` without the capacity that is reserved in the network.

        Raises:
            UsageError: nothing is reserved.
        """
        raise UsageError(
            f"{type(self).__name__} has no reserved capacity: let the objective equip the denoiser before training"
        )

    def part(self, name: str) -> nn.Module:
        """A module that is trained with the denoiser and that its predictions do not use.

        Raises:
            UsageError: it has no such part.
        """
        raise UsageError(
            f"{type(self).__name__} has no part {name!r}: let the objective equip the denoiser before training"
        )

    @property
    def data_std(self) -> Tensor | float:
        """Standard deviation of the clean data, a number or one that broadcasts against a batch."""
        return 1.0

    def rows(self, index: Tensor) -> Denoiser:
        """The denoiser for the rows ``index`` (n,) of a batch, where it holds something for each row of that batch."""
        return self

    @property
    def null(self) -> int:
        """Index of the null label."""
        return self.num_classes

    def null_like(self, y: Tensor) -> Tensor:
        """Null labels in the shape of ``y``."""
        return torch.full_like(y, self.num_classes)


def evaluate(denoiser: Denoiser, x: Tensor, t: Tensor, y: Tensor) -> Prediction:
    """The denoiser at one time () for the whole batch ``x`` (B, ...) with labels ``y`` (B,)."""
    return denoiser.predict(x, t.to(x).expand(len(x)), y)


@contextmanager
def evaluation(module: nn.Module) -> Iterator[None]:
    """``module`` in evaluation mode inside; every part's own mode again outside."""
    before = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, mode in before:
            part.training = mode
