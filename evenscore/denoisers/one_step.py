"""A one-step generator in the form of a denoiser: what it predicts is the sample itself.

A generator ``g(z, y)`` with ``z ~ N(0, I)`` is a denoiser asked once, at one fixed noise level: with ``s`` the time at which
log SNR has the value ``log_snr``,

    g(z, y) = E[x0 | x_s = sigma(s) z, y]   as its network says

Law: at every time ``t`` the clean prediction is ``g(x_t / sigma(t), y)``. The terminal law of a process is that of
``sigma(t_max) z``, so one evaluation there is a sample of the generator: a solver without intervals draws it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser, evaluate
from evenscore.prediction import Prediction
from evenscore.process import expand


class OneStep(Denoiser):
    """The generator that a denoiser is at one noise level.

    Args:
        network: the denoiser; its parameters are those of the generator.
        log_snr: log SNR of the level at which it is asked.
    """

    def __init__(self, network: Denoiser, log_snr: float) -> None:
        super().__init__()
        self.network = network
        self.log_snr = log_snr
        self.process, self.num_classes, self.shape = network.process, network.num_classes, network.shape

    @property
    def data_std(self) -> Tensor | float:
        return self.network.data_std

    def draw(self, z: Tensor, y: Tensor) -> Tensor:
        """Samples (B, *shape) for standard normal ``z`` (B, *shape) and labels ``y`` (B,), with their graph."""
        start = self.process.time(torch.tensor(self.log_snr, dtype=torch.float64)).to(z)
        return evaluate(self.network, self.process.sigma(start) * z, start, y).x0

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor) -> Prediction:
        """The sample that belongs to the noise ``x_t / sigma(t)``; the time says nothing else."""
        z = x_t / expand(self.process.sigma(t), x_t)
        return Prediction.from_x0(self.draw(z, y), x_t, t, self.process)
