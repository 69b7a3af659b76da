"""DPM-Solver++(2M) (Lu et al. 2022, "DPM-Solver++: Fast Solver for Guided Sampling", algorithm 2).

Law, with ``l = log(alpha / sigma)``, ``h = l_s - l_t`` and the previous step's ``h'`` and clean sample ``x0'``:

    x_s = (sigma_s / sigma_t) x_t - alpha_s (exp(-h) - 1) D,    D = x0 + (h / 2h') (x0 - x0')

It integrates the linear part of the ODE exactly and extrapolates the predicted clean sample linearly in ``l``. The
first step has no past and takes ``D = x0``, which is DDIM.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser, evaluate
from evenscore.kernel import level
from evenscore.solvers.base import Solver, State, Step


@dataclass(frozen=True)
class DPMSolver2M(Solver):
    """Second-order multistep solver in data prediction; no settings.

    Its state is ``(x0, h)``: the clean sample that the step before predicted, and its length in ``log(alpha / sigma)``.
    """

    order: ClassVar[int] = 2
    evaluations: ClassVar[int] = 1

    def step(
        self, denoiser: Denoiser, x: Tensor, t: Tensor, s: Tensor, y: Tensor, state: State, noise: Tensor | None
    ) -> Step:
        now = evaluate(denoiser, x, t, y)
        before, after = level(denoiser.process, t), level(denoiser.process, s)
        h = torch.tensor((after.log_snr - before.log_snr) / 2, dtype=torch.float64)
        target = now.x0
        if state:
            last, h_last = state
            target = now.x0 + h / (2 * h_last) * (now.x0 - last)
        moved = after.sigma / before.sigma * x - after.alpha * torch.expm1(-h) * target
        return Step(moved, (now.x0, h), now)
