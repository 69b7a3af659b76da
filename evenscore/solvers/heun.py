"""Heun's method (Karras et al. 2022, "Elucidating the Design Space of Diffusion-Based Generative Models", algorithm 1).

The algorithm leaves the time and the scaling open. By default both are those of the straight line, which any process
becomes by scaling: with ``z = x / (alpha + sigma)`` and ``u = sigma / (alpha + sigma)`` in [0, 1], ``dz/du = eps - x0``. At
low noise this is EDM's ``sigma / alpha``; at high noise it stays bounded, so that coarse grids do no harm. The published
choice is the line ``edm``: ``z = x / alpha`` and ``u = sigma / alpha``, ``dz/du = eps``.

Law: ``z_s = z_t + (u_s - u_t) (v_t + v_s) / 2`` with ``v = dz/du``, ``v_s`` predicted at the end of a DDIM step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from evenscore.denoisers.base import Denoiser, evaluate
from evenscore.kernel import level
from evenscore.records import check_name
from evenscore.solvers.base import Solver, State, Step

LINES = ("straight", "edm")


@dataclass(frozen=True)
class Heun(Solver):
    """Trapezoidal rule with a DDIM predictor.

    Attributes:
        line: the coordinates of the rule: ``straight``, or ``edm`` for those of Karras et al.

    Raises:
        UsageError: an unknown line.
    """

    line: str = "straight"
    order: ClassVar[int] = 2
    evaluations: ClassVar[int] = 2

    def __post_init__(self) -> None:
        check_name("line", self.line, LINES)

    def step(
        self, denoiser: Denoiser, x: Tensor, t: Tensor, s: Tensor, y: Tensor, state: State, noise: Tensor | None
    ) -> Step:
        now = evaluate(denoiser, x, t, y)
        before, after = level(denoiser.process, t), level(denoiser.process, s)
        then = evaluate(denoiser, after.alpha * now.x0 + after.sigma * now.eps, s, y)
        edm = self.line == "edm"
        first, last = (one.alpha if edm else one.alpha + one.sigma for one in (before, after))
        length = after.sigma / last - before.sigma / first
        slope = (now.eps + then.eps if edm else now.eps - now.x0 + then.eps - then.x0) / 2
        return Step(last * (x / first + length * slope), state, now)
