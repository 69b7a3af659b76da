"""Ancestral sampling (Ho et al. 2020, "Denoising Diffusion Probabilistic Models", algorithm 2), for any process.

Law: a step is a draw from the reverse kernel ``p(x_s | x_t, x0)`` of :mod:`evenscore.kernel` at the predicted clean sample;
or from a Gaussian of the same mean with the variance of the forward kernel from s to t (the ``beta_t`` of Ho et al.,
section 3.2, right for white data of unit variance).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evenscore.kernel import Gaussian, Level, forward_std, reverse_kernel
from evenscore.prediction import Prediction
from evenscore.process import Process
from evenscore.records import check_name
from evenscore.solvers.base import KernelSolver

VARIANCES = ("posterior", "forward")


@dataclass(frozen=True)
class Ancestral(KernelSolver):
    """DDPM's reverse chain.

    Attributes:
        variance: of the fresh noise: ``posterior`` (for data that are one point) or ``forward`` (for white data).

    Raises:
        UsageError: an unknown variance.
    """

    variance: str = "posterior"
    order: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_name("variance", self.variance, VARIANCES)

    def kernel(self, process: Process, now: Prediction, before: Level, after: Level) -> Gaussian:
        law = reverse_kernel(now, before, after)
        return law if self.variance == "posterior" else Gaussian(law.mean, forward_std(before, after))
