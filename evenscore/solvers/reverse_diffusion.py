"""The reverse-diffusion predictor (Song et al. 2021, eq. 46): the reverse SDE discretised as the forward one is.

Law: the forward step from s to t is exactly ``x_t = r x_s + c z`` with ``r = alpha_t / alpha_s`` and
``c^2 = sigma_t^2 - r^2 sigma_s^2``. The reverse step is

    x_s = (2 - r) x_t + c^2 score + c z

With VE this is the rule of SMLD, ``c^2 = sigma_t^2 - sigma_s^2``; with VP that of DDPM, ``r^2 = 1 - beta``.

Like Euler-Maruyama it is explicit and needs many steps; where the noise schedule bends, its coefficients are exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.solvers.base import Solver, State, Step, evaluate, given, level


@dataclass(frozen=True)
class ReverseDiffusion(Solver):
    """Reverse-diffusion predictor; no settings."""

    order: ClassVar[int] = 1

    @property
    def stochastic(self) -> bool:
        """Always True."""
        return True

    def step(
        self, denoiser: Denoiser, x: Tensor, t: Tensor, s: Tensor, y: Tensor, state: State, noise: Tensor | None
    ) -> Step:
        fresh = given(noise, self)
        now = evaluate(denoiser, x, t, y)
        before, after = level(denoiser.process, t), level(denoiser.process, s)
        gain = -math.expm1(before.log_snr - after.log_snr)
        pulled = (2 - before.alpha / after.alpha) * x - before.sigma * gain * now.eps
        return Step(pulled + before.sigma * math.sqrt(gain) * fresh, state, now)
