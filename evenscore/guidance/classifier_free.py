"""Classifier-free guidance (Ho & Salimans 2022), optionally only within a range of noise levels.

Law: ``guided = unconditional + scale * (conditional - unconditional)`` in every view. Scale 0 is unconditional and
scale 1 plain conditional; the paper's ``w`` is ``scale - 1``. Outside the interval, in log SNR, the denoiser is plain
conditional (Kynkaanniemi et al. 2024, "Applying Guidance in a Limited Interval").

Only what is needed is computed: nothing twice at scale 0 or 1, outside the interval, or for rows without a class.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.errors import UsageError
from evenscore.prediction import Prediction


class ClassifierFree(Denoiser):
    """A denoiser with classifier-free guidance.

    Args:
        denoiser: trained with label dropout, so that its null label means "no class given".
        scale: 0 unconditional, 1 plain conditional, above 1 stronger.
        interval: lowest and highest log SNR at which to guide; None for everywhere.

    Raises:
        UsageError: a negative or infinite scale, or an empty interval.
    """

    def __init__(self, denoiser: Denoiser, scale: float, interval: tuple[float, float] | None = None) -> None:
        super().__init__()
        check_scale(scale, interval)
        self.denoiser = denoiser
        self.scale = float(scale)
        self.interval = interval
        self.process = denoiser.process
        self.num_classes = denoiser.num_classes
        self.shape = denoiser.shape

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor) -> Prediction:
        """Denoise with guidance; rows with the null label stay unconditional."""
        if self.scale == 1:
            return self.denoiser.predict(x_t, t, y)
        guided = self._inside(t) & (y != self.null)
        if self.scale == 0:
            return self.denoiser.predict(x_t, t, torch.where(guided, self.null_like(y), y))
        rows = guided.nonzero().squeeze(1)
        if not len(rows):
            return self.denoiser.predict(x_t, t, y)
        labels = torch.cat([y, self.null_like(y[rows])])
        both = self.denoiser.predict(torch.cat([x_t, x_t[rows]]), torch.cat([t, t[rows]]), labels)
        size = len(x_t)
        return Prediction(
            x_t, both.alpha[:size], both.sigma[:size], self._mix(both.x0, rows, size), self._mix(both.eps, rows, size)
        )

    def _inside(self, t: Tensor) -> Tensor:
        """(B,) whether to guide at each time."""
        if self.interval is None:
            return torch.ones_like(t, dtype=torch.bool)
        level = self.process.log_snr(t)
        return (level >= self.interval[0]) & (level <= self.interval[1])

    def _mix(self, both: Tensor, rows: Tensor, size: int) -> Tensor:
        """The first ``size`` values, with ``rows`` of them moved away from their unconditional twins behind."""
        conditional, unconditional = both[:size], both[size:]
        mixed = unconditional + self.scale * (conditional[rows] - unconditional)
        return conditional.index_copy(0, rows, mixed)


def check_scale(scale: float, interval: tuple[float, float] | None) -> None:
    """Refuse settings without meaning.

    Raises:
        UsageError: a negative or infinite scale, or an empty interval.
    """
    if not (math.isfinite(scale) and scale >= 0):
        raise UsageError(
            f"guidance scale is {scale:g}: give a number from 0 (unconditional), 1 being plain conditional"
        )
    if interval is not None and not interval[0] < interval[1]:
        low, high = interval
        raise UsageError(f"guidance interval is ({low:g}, {high:g}): give the lower log SNR first, then the higher")
