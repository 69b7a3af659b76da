"""DDIM (Song, Meng & Ermon 2021, "Denoising Diffusion Implicit Models", eq. 12 and 16), for any process.

Law: ``x_s = alpha_s x0 + sqrt(sigma_s^2 - c^2) eps + c z`` with ``c^2 = eta^2 sigma_s^2 (1 - SNR_t / SNR_s)``. The step
is exact where the prediction is constant. ``eta = 1`` gives the variance of the reverse chain, ``eta = 0`` no noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.errors import UsageError
from evenscore.solvers.base import Solver, State, Step, evaluate, level


@dataclass(frozen=True)
class DDIM(Solver):
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

    def step(
        self, denoiser: Denoiser, x: Tensor, t: Tensor, s: Tensor, y: Tensor, state: State, noise: Tensor | None
    ) -> Step:
        now = evaluate(denoiser, x, t, y)
        before, after = level(denoiser.process, t), level(denoiser.process, s)
        if noise is None:
            return Step(after.alpha * now.x0 + after.sigma * now.eps, state, now)
        fresh = self.eta * after.sigma * math.sqrt(-math.expm1(before.log_snr - after.log_snr))
        kept = math.sqrt(max(0.0, after.sigma**2 - fresh**2))
        return Step(after.alpha * now.x0 + kept * now.eps + fresh * noise, state, now)
