"""Heun's method (Karras et al. 2022, "Elucidating the Design Space of Diffusion-Based Generative Models", algorithm 1).

The algorithm leaves the time and the scaling open. Here both are those of the straight line, which any process becomes
by scaling: with ``z = x / (alpha + sigma)`` and ``u = sigma / (alpha + sigma)`` in [0, 1], ``dz/du = eps - x0``. At low
noise this is EDM's ``sigma / alpha``; at high noise it stays bounded, so that coarse grids do no harm.

Law: ``z_s = z_t + (u_s - u_t) (v_t + v_s) / 2`` with ``v = eps - x0``, ``v_s`` predicted at the end of a DDIM step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.solvers.base import Solver, State, Step, evaluate


@dataclass(frozen=True)
class Heun(Solver):
    """Trapezoidal rule with a DDIM predictor; no settings."""

    order: ClassVar[int] = 2
    evaluations: ClassVar[int] = 2

    def step(
        self, denoiser: Denoiser, x: Tensor, t: Tensor, s: Tensor, y: Tensor, state: State, noise: Tensor | None
    ) -> Step:
        now = evaluate(denoiser, x, t, y)
        process = denoiser.process
        alpha, sigma = process.alpha(s), process.sigma(s)
        then = evaluate(denoiser, alpha * now.x0 + sigma * now.eps, s, y)
        before, after = process.alpha(t) + process.sigma(t), alpha + sigma
        length = sigma / after - process.sigma(t) / before
        slope = (now.eps - now.x0 + then.eps - then.x0) / 2
        return Step(after * (x / before + length * slope), state, now)
