"""Annealed Langevin dynamics (Song & Ermon 2019, "Generative Modeling by Estimating Gradients of the Data Distribution").

Law: at the level ``sigma_i``, ``a_i = eps (sigma_i / sigma_last)^2`` and T times

    x <- x + (a_i / 2) score + sqrt(a_i) z          convention "paper" (algorithm 1)
    x <- x + a_i score + sqrt(2 a_i) z              convention "code" (the released sampler)

so for one ``eps`` the released code takes steps of twice the paper's length.

The levels are the times of the grid after the first, whose law the batch begins with; the paper's own are given by
:func:`evenscore.solvers.grids.ladder`. On a process with a signal coefficient the same dynamics run on ``x / alpha``, at
the level ``sigma / alpha``, so a VP denoiser serves as well as a VE one.

Annealing is what restores the weights of separate modes; at one small level the chains stay in the mode they fall into.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from evenscore.denoisers.base import Denoiser, evaluate
from evenscore.kernel import level
from evenscore.records import check, check_name
from evenscore.solvers.base import ChainSolver, State, Step, given

CONVENTIONS = ("paper", "code")


@dataclass(frozen=True)
class AnnealedLangevin(ChainSolver):
    """Annealed Langevin dynamics; the defaults are the paper's.

    Attributes:
        steps: T, Langevin steps at each level.
        eps: step at the last level.
        sigma_last: the level at which a step is ``eps``, in units of the data.
        convention: ``paper`` or ``code``.

    Raises:
        UsageError: a setting outside its range.
    """

    steps: int = 100
    eps: float = 2e-5
    sigma_last: float = 0.01
    convention: str = "paper"
    order: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_name("convention", self.convention, CONVENTIONS)
        check("steps", self.steps, self.steps >= 1, "at least 1")
        check("eps", self.eps, self.eps > 0, "above 0")
        check("sigma_last", self.sigma_last, self.sigma_last > 0, "above 0")

    def step(
        self, denoiser: Denoiser, x: Tensor, t: Tensor, s: Tensor, y: Tensor, state: State, noise: Tensor | None
    ) -> Step:
        fresh = given(noise, self)
        before, after = level(denoiser.process, t), level(denoiser.process, s)
        moved = after.alpha / before.alpha * x
        now = evaluate(denoiser, moved, s, y)
        length = after.alpha**2 * self.eps * (after.sigma / after.alpha / self.sigma_last) ** 2
        if self.convention == "paper":
            return Step(moved + length / 2 * now.score + math.sqrt(length) * fresh, state, now)
        return Step(moved + length * now.score + math.sqrt(2 * length) * fresh, state, now)
