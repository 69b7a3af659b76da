"""Solvers turn a denoiser into samples; one solver per file, and the time grids beside them.

Law: a solver is found by its name in ``SOLVERS``, a grid by its name in ``GRIDS``; these are the command line's names.
"""

from __future__ import annotations

from collections.abc import Mapping

from evenscore.denoisers.base import evaluate
from evenscore.solvers.adaptive import Adaptive
from evenscore.solvers.ancestral import Ancestral
from evenscore.solvers.annealed_langevin import AnnealedLangevin
from evenscore.solvers.base import Solver, State, Step
from evenscore.solvers.ddim import DDIM
from evenscore.solvers.dpm_solver import DPMSolver2M
from evenscore.solvers.euler import Euler
from evenscore.solvers.euler_maruyama import EulerMaruyama
from evenscore.solvers.exponential import ExponentialIntegrator
from evenscore.solvers.grids import GRIDS, Grid, ladder
from evenscore.solvers.heun import Heun
from evenscore.solvers.integrate import integrate, steps_for
from evenscore.solvers.langevin import Langevin
from evenscore.solvers.predictor_corrector import PREDICTORS, PredictorCorrector
from evenscore.solvers.reverse_diffusion import ReverseDiffusion

SOLVERS: Mapping[str, type[Solver]] = {
    "euler": Euler,
    "heun": Heun,
    "ddim": DDIM,
    "euler-maruyama": EulerMaruyama,
    "dpm++2m": DPMSolver2M,
    "adaptive": Adaptive,
    "ancestral": Ancestral,
    "reverse-diffusion": ReverseDiffusion,
    "exponential": ExponentialIntegrator,
    "predictor-corrector": PredictorCorrector,
    "langevin": Langevin,
    "annealed-langevin": AnnealedLangevin,
}

__all__ = [
    "DDIM",
    "GRIDS",
    "PREDICTORS",
    "SOLVERS",
    "Adaptive",
    "Ancestral",
    "AnnealedLangevin",
    "DPMSolver2M",
    "Euler",
    "EulerMaruyama",
    "ExponentialIntegrator",
    "Grid",
    "Heun",
    "Langevin",
    "PredictorCorrector",
    "ReverseDiffusion",
    "Solver",
    "State",
    "Step",
    "evaluate",
    "integrate",
    "ladder",
    "steps_for",
]
