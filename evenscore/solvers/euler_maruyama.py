"""Euler-Maruyama on the reverse SDE ``dx = (f x - g^2 score) dt + g dW`` (Song et al. 2021, eq. 6).

Law: ``x_s = x_t - (t - s) (f x_t - g^2 score) + g sqrt(t - s) z``, with ``f`` and ``g`` at time ``t``.

The step is explicit: it needs ``g^2 (t - s)`` well below ``sigma^2``, hence many steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from evenscore.kernel import Gaussian, Level
from evenscore.prediction import Prediction
from evenscore.process import Process
from evenscore.solvers.base import KernelSolver


@dataclass(frozen=True)
class EulerMaruyama(KernelSolver):
    """Explicit Euler-Maruyama; no settings. The order is the weak one, that of sample statistics."""

    order: ClassVar[int] = 1
    evaluations: ClassVar[int] = 1

    def kernel(self, process: Process, now: Prediction, before: Level, after: Level) -> Gaussian:
        length = before.t - after.t
        pull = length * before.diffusion**2 / before.sigma
        mean = (1 - length * before.drift) * now.x_t - pull * now.eps
        return Gaussian(mean, before.diffusion * math.sqrt(length))
