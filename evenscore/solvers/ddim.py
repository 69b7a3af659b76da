"""DDIM (Song, Meng & Ermon 2021, "Denoising Diffusion Implicit Models", eq. 12 and 16), for any process.

Law: ``x_s = alpha_s x0 + sqrt(sigma_s^2 - c^2) eps + c z`` with ``c^2 = eta^2 sigma_s^2 (1 - SNR_t / SNR_s)``, the reverse
kernel of :mod:`evenscore.kernel` with a share of its noise. The step is exact where the prediction is constant. ``eta = 1``
is ancestral sampling, ``eta = 0`` has no noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evenscore.errors import UsageError
from evenscore.kernel import Gaussian, Level, reverse_kernel
from evenscore.prediction import Prediction
from evenscore.process import Process
from evenscore.solvers.base import KernelSolver


@dataclass(frozen=True)
class DDIM(KernelSolver):
    """Denoising diffusion implicit model.

    Attributes:
        eta: share of fresh noise, in [0, 1]; 0 is deterministic.
    """

    eta: float = 0.0
    order: ClassVar[int] = 1
    evaluations: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not 0 <= self.eta <= 1:
            raise UsageError(f"eta is {self.eta:g}: give a number from 0 (no fresh noise) to 1")

    @property
    def stochastic(self) -> bool:
        """True when ``eta`` is above 0."""
        return self.eta > 0

    def kernel(self, process: Process, now: Prediction, before: Level, after: Level) -> Gaussian:
        return reverse_kernel(now, before, after, self.eta)
