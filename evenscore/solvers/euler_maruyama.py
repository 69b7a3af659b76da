"""Euler-Maruyama on the reverse SDE ``dx = (f x - g^2 score) dt + g dW`` (Song et al. 2021, eq. 6).

Law: ``x_s = x_t - (t - s) (f x_t - g^2 score) + g sqrt(t - s) z``, with ``f`` and ``g`` at time ``t``.

The step is explicit: it needs ``g^2 (t - s)`` well below ``sigma^2``, hence many steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.solvers.base import Solver, State, Step, evaluate, given, level


@dataclass(frozen=True)
class EulerMaruyama(Solver):
    """Explicit Euler-Maruyama; no settings. The order is the weak one, that of sample statistics."""

    order: ClassVar[int] = 1
    evaluations: ClassVar[int] = 1

    @property
    def stochastic(self) -> bool:
        """Always True."""
        return True

    def step(
        self, denoiser: Denoiser, x: Tensor, t: Tensor, s: Tensor, y: Tensor, state: State, noise: Tensor | None
    ) -> Step:
        fresh = given(noise, self)
        now = evaluate(denoiser, x, t, y)
        here, length = level(denoiser.process, t), float(t) - float(s)
        slope = here.drift * x + here.diffusion**2 / here.sigma * now.eps
        return Step(x - length * slope + here.diffusion * math.sqrt(length) * fresh, state, now)
