"""Euler on the probability-flow ODE ``dx/dt = alpha'(t) x0 + sigma'(t) eps`` (Song et al. 2021, section 4.3).

Law: ``x_s = x_t + (s - t) dx/dt``, in the time of the process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from evenscore.denoisers.base import Denoiser, evaluate
from evenscore.solvers.base import Solver, State, Step


@dataclass(frozen=True)
class Euler(Solver):
    """Explicit Euler; no settings."""

    order: ClassVar[int] = 1
    evaluations: ClassVar[int] = 1

    def step(
        self, denoiser: Denoiser, x: Tensor, t: Tensor, s: Tensor, y: Tensor, state: State, noise: Tensor | None
    ) -> Step:
        now = evaluate(denoiser, x, t, y)
        slope = denoiser.process.velocity(now.x0, now.eps, t)
        return Step(x + (s - t) * slope, state, now)
