"""The reverse-diffusion predictor (Song et al. 2021, eq. 46): the reverse SDE discretised as the forward one is.

Law: the forward kernel from s to t is exactly ``x_t = r x_s + c z`` with ``r = alpha_t / alpha_s`` and
``c^2 = sigma_t^2 - r^2 sigma_s^2`` (:mod:`evenscore.kernel`). The reverse step is

    x_s = (2 - r) x_t + c^2 score + c z

With VE this is the rule of SMLD, ``c^2 = sigma_t^2 - sigma_s^2``; with VP that of DDPM, ``r^2 = 1 - beta``.

Like Euler-Maruyama it is explicit and needs many steps; where the noise schedule bends, its coefficients are exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evenscore.kernel import Gaussian, Level, forward_std
from evenscore.prediction import Prediction
from evenscore.process import Process
from evenscore.solvers.base import KernelSolver


@dataclass(frozen=True)
class ReverseDiffusion(KernelSolver):
    """Reverse-diffusion predictor; no settings."""

    order: ClassVar[int] = 1

    def kernel(self, process: Process, now: Prediction, before: Level, after: Level) -> Gaussian:
        std = forward_std(before, after)
        mean = (2 - before.alpha / after.alpha) * now.x_t - std**2 / before.sigma * now.eps
        return Gaussian(mean, std)
