"""Solvers turn a denoiser into samples; one solver per file, and the time grids beside them.

Law: a solver is found by its name in ``SOLVERS``, a grid by its name in ``GRIDS``; these are the command line's names.
"""

from __future__ import annotations

from collections.abc import Mapping

from evenscore.solvers.base import Solver, State, Step, evaluate
from evenscore.solvers.ddim import DDIM
from evenscore.solvers.dpm_solver import DPMSolver2M
from evenscore.solvers.euler import Euler
from evenscore.solvers.euler_maruyama import EulerMaruyama
from evenscore.solvers.grids import GRIDS, Grid
from evenscore.solvers.heun import Heun
from evenscore.solvers.integrate import integrate, steps_for

SOLVERS: Mapping[str, type[Solver]] = {
    "euler": Euler,
    "heun": Heun,
    "ddim": DDIM,
    "euler-maruyama": EulerMaruyama,
    "dpm++2m": DPMSolver2M,
}

__all__ = [
    "DDIM",
    "GRIDS",
    "SOLVERS",
    "DPMSolver2M",
    "Euler",
    "EulerMaruyama",
    "Grid",
    "Heun",
    "Solver",
    "State",
    "Step",
    "evaluate",
    "integrate",
    "steps_for",
]
