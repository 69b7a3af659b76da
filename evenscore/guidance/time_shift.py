"""Time shift: samples on their way are noisier than their time says, and the denoiser is told so.

The training-free correction of exposure bias that CBDM_TS / TCDM applies shifts the time-step; its rule was not available, and
this one is derived. A sampler's errors add to its samples, so that at time t they are ``alpha (x0 + s' eps)`` with a
noise level ``s' = e^shift sigma / alpha`` above the nominal one. With t' the time of that level,

    x0 = E[x0 | (alpha(t') / alpha(t)) x_t, t'],        eps = (x_t - alpha x0) / sigma,

which is exact for such a sample: it is the input that the denoiser expects at t'. A negative shift tells it that
samples are cleaner. Times stay in the range of the process; the last evaluation, at the smallest time, is not shifted.

The other half of that method, extrapolating the clean estimate from step to step, is not here: DPM-Solver++(2M) extrapolates it
linearly in log SNR already.

Law: shift 0 is the plain denoiser bit for bit; a row depends on no other row.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.prediction import Prediction
from evenscore.process import expand
from evenscore.records import check

MOST = 1.0
"""Largest shift: a noise level of e times the nominal one."""


class TimeShift(Denoiser):
    """A denoiser that is told a noise level ``e^shift`` times the nominal one.

    Args:
        denoiser: what is asked.
        shift: log of the factor of the noise level, -1 to 1; 0 none.

    Raises:
        UsageError: a shift outside that range.
    """

    def __init__(self, denoiser: Denoiser, shift: float) -> None:
        super().__init__()
        check_shift(shift)
        self.denoiser, self.shift = denoiser, float(shift)
        self.process, self.num_classes, self.shape = denoiser.process, denoiser.num_classes, denoiser.shape

    @property
    def data_std(self) -> Tensor | float:
        return self.denoiser.data_std

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor) -> Prediction:
        """Denoise at the shifted level; the views agree at ``x_t`` and ``t``."""
        process = self.process
        moves = t > process.t_min
        if self.shift == 0 or not bool(moves.any()):
            return self.denoiser.predict(x_t, t, y)
        there = process.time(process.log_snr(t.double()) - 2 * self.shift).clamp(process.t_min, process.t_max)
        told = torch.where(moves, there, t.double())
        scale = expand((process.alpha(told) / process.alpha(t.double())).to(x_t.dtype), x_t)
        said = self.denoiser.predict(scale * x_t, told.to(t.dtype), y)
        return Prediction.from_x0(said.x0, x_t, t, process)


def check_shift(shift: float) -> None:
    """Refuse a shift out of range.

    Raises:
        UsageError: it is.
    """
    check("shift", shift, math.isfinite(shift) and abs(shift) <= MOST, f"from -{MOST:g} to {MOST:g}, 0 for none")
