"""Predictor-corrector sampling (Song et al. 2021, algorithm 1): a solver's step, then Langevin steps at the time reached.

Law: with the grid's times each visited once by the predictor and ``corrections`` times by the corrector, a step with
``s < t`` is the predictor's, bit for bit, and a step that stays (``s = t``) is the corrector of
:mod:`evenscore.solvers.langevin`, bit for bit. The loop ends with ``E[x0 | x_t]``, the mean, as the paper's sampler does.

The corrector mends the law at its level whatever the predictor did wrong there. It costs as much as a predictor step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser, evaluate
from evenscore.records import check, check_name
from evenscore.solvers.ancestral import Ancestral
from evenscore.solvers.base import Solver, State, Step, given, visits
from evenscore.solvers.ddim import DDIM
from evenscore.solvers.dpm_solver import DPMSolver2M
from evenscore.solvers.euler import Euler
from evenscore.solvers.euler_maruyama import EulerMaruyama
from evenscore.solvers.exponential import ExponentialIntegrator
from evenscore.solvers.heun import Heun
from evenscore.solvers.langevin import check_corrector, corrected, signal_ratio
from evenscore.solvers.reverse_diffusion import ReverseDiffusion

PREDICTORS: Mapping[str, type[Solver]] = {
    "reverse-diffusion": ReverseDiffusion,
    "ancestral": Ancestral,
    "euler-maruyama": EulerMaruyama,
    "exponential": ExponentialIntegrator,
    "euler": Euler,
    "ddim": DDIM,
    "heun": Heun,
    "dpm++2m": DPMSolver2M,
}


@dataclass(frozen=True)
class PredictorCorrector(Solver):
    """Any predictor with the Langevin corrector. The order is that of the first power of step and ``snr^2`` together.

    Attributes:
        predictor: name in ``PREDICTORS``, with its default settings.
        snr: signal-to-noise ratio of a corrector step, above 0.
        norms: of the corrector, ``level`` or ``sample``.
        corrections: corrector steps after each predictor step.

    Raises:
        UsageError: an unknown name, or a setting outside its range.
    """

    predictor: str = "reverse-diffusion"
    snr: float = 0.16
    norms: str = "level"
    corrections: int = 1
    order: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_name("predictor", self.predictor, PREDICTORS)
        check_corrector(self.snr, self.norms)
        check("corrections", self.corrections, self.corrections >= 1, "at least 1")

    @property
    def evaluations(self) -> int:
        """Those of the predictor and one per correction."""
        return PREDICTORS[self.predictor]().evaluations + self.corrections

    @property
    def stochastic(self) -> bool:
        """Always True."""
        return True

    def path(self, times: Tensor) -> Tensor:
        """Each time after the first once for the predictor and once for every correction."""
        return visits(times, 1 + self.corrections)

    def init(self, x: Tensor) -> State:
        """The squared signal ratio of the last predictor step, then the predictor's own state."""
        return (torch.ones((), dtype=torch.float64), *PREDICTORS[self.predictor]().init(x))

    def step(
        self, denoiser: Denoiser, x: Tensor, t: Tensor, s: Tensor, y: Tensor, state: State, noise: Tensor | None
    ) -> Step:
        fresh = given(noise, self)
        ratio, *rest = state
        if float(t) == float(s):
            now = evaluate(denoiser, x, s, y)
            return Step(corrected(now, x, fresh, self.snr, self.norms, ratio), state, now)
        predictor = PREDICTORS[self.predictor]()
        moved = predictor.step(denoiser, x, t, s, y, tuple(rest), fresh if predictor.stochastic else None)
        return Step(moved.x, (signal_ratio(denoiser.process, t, s), *moved.state), moved.prediction)
