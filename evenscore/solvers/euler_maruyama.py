"""Euler-Maruyama on the reverse SDE ``dx = (f x - g^2 score) dt + g dW`` (Song et al. 2021, eq. 6).

Law: ``x_s = x_t - (t - s) (f x_t - g^2 score) + g sqrt(t - s) z``, with ``f`` and ``g`` at time ``t``.

The step is explicit: it needs ``g^2 (t - s)`` well below ``sigma^2``, hence many steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.errors import UsageError
from evenscore.solvers.base import Solver, State, Step, evaluate


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
        if noise is None:
            raise UsageError("euler-maruyama was given no noise: pass standard normal values in the shape of the batch")
        now = evaluate(denoiser, x, t, y)
        drift, diffusion = denoiser.process.drift(t), denoiser.process.diffusion(t)
        slope = drift * x - diffusion.square() * now.score
        return Step(x - (t - s) * slope + diffusion * (t - s).sqrt() * noise, state, now)
