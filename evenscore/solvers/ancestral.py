"""Ancestral sampling (Ho et al. 2020, "Denoising Diffusion Probabilistic Models", algorithm 2), for any process.

Law: with ``g = 1 - SNR_t / SNR_s`` and the predicted clean sample ``x0``,

    x_s = (alpha_t sigma_s^2) / (alpha_s sigma_t^2) x_t + alpha_s g x0 + c z

which is a draw from the exact posterior ``p(x_s | x_t, x0)`` when ``c^2 = sigma_s^2 g``; with the variance of the forward
step from s to t, ``c^2 = sigma_t^2 g`` (the ``beta_t`` of Ho et al., section 3.2, right for white data of unit variance).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.records import check_name
from evenscore.solvers.base import Solver, State, Step, evaluate, given, level

VARIANCES = ("posterior", "forward")


@dataclass(frozen=True)
class Ancestral(Solver):
    """DDPM's reverse chain.

    Attributes:
        variance: of the fresh noise: ``posterior`` (for data that are one point) or ``forward`` (for white data).

    Raises:
        UsageError: an unknown variance.
    """

    variance: str = "posterior"
    order: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_name("variance", self.variance, VARIANCES)

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
        kept = before.alpha / after.alpha * (after.sigma / before.sigma) ** 2
        spread = (after if self.variance == "posterior" else before).sigma * math.sqrt(gain)
        return Step(kept * x + after.alpha * gain * now.x0 + spread * fresh, state, now)
