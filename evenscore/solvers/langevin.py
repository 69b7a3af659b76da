"""The Langevin corrector (Song et al. 2021, algorithms 4 and 5), and corrector-only sampling with it.

Law: at one noise level, ``x <- x + h score + sqrt(2 h) z`` with ``h = 2 a (snr |z| / |score|)^2``. Here ``a`` is 1 for VE and
the squared signal ratio ``(alpha_t / alpha_s)^2`` of the grid's step in general (``alpha_i`` of DDPM on its own grid).

The norms are those of one sample, never of the batch, so that a sample does not depend on its company. Two readings:

* ``level``: ``|z|^2`` and ``|score|^2`` are replaced by D and ``D / sigma^2``, their expectations for D coordinates of pure
  noise (the paper, too, advises ``sqrt(D)`` for small batches), so ``h = 2 a (snr sigma)^2``;
* ``sample``: both are measured on the sample. In a few dimensions this is not a Langevin step any more: the score
  vanishes at every mode, and the step has no bound.

The step biases the variance of the law at its level by a share of about ``snr^2``, or less.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser, evaluate
from evenscore.kernel import level
from evenscore.prediction import Prediction
from evenscore.process import Process, expand
from evenscore.records import check, check_name
from evenscore.solvers.base import ChainSolver, State, Step, given

NORMS = ("level", "sample")


@dataclass(frozen=True)
class Langevin(ChainSolver):
    """Corrector-only sampling: Langevin steps at every time of the grid after the first; needs many of them.

    Attributes:
        snr: signal-to-noise ratio of a step, above 0; 0.16 is the paper's for VE on small images.
        norms: ``level`` or ``sample``.
        steps: Langevin steps at each time.

    Raises:
        UsageError: a setting outside its range.
    """

    snr: float = 0.16
    norms: str = "level"
    steps: int = 1
    order: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_corrector(self.snr, self.norms)
        check("steps", self.steps, self.steps >= 1, "at least 1")

    def init(self, x: Tensor) -> State:
        """The squared signal ratio, 1 before the first step."""
        return (torch.ones((), dtype=torch.float64),)

    def step(
        self, denoiser: Denoiser, x: Tensor, t: Tensor, s: Tensor, y: Tensor, state: State, noise: Tensor | None
    ) -> Step:
        ratio = state[0] if float(t) == float(s) else signal_ratio(denoiser.process, t, s)
        now = evaluate(denoiser, x, s, y)
        return Step(corrected(now, x, given(noise, self), self.snr, self.norms, ratio), (ratio,), now)


def corrected(now: Prediction, x: Tensor, noise: Tensor, snr: float, norms: str, ratio: Tensor) -> Tensor:
    """One corrector step.

    Args:
        now: the prediction for ``x`` at its level.
        x: (B, ...) batch.
        noise: (B, ...) standard normal values.
        snr: signal-to-noise ratio of the step.
        norms: one of :data:`NORMS`.
        ratio: () the factor ``a`` of the module's law.
    """
    if norms == "level":
        length = 2 * ratio.to(x) * (snr * now.sigma).square()
    else:
        size = expand(noise.flatten(1).norm(dim=1) / now.score.flatten(1).norm(dim=1), x)
        length = 2 * ratio.to(x) * (snr * size).square()
    return x + length * now.score + (2 * length).sqrt() * noise


def signal_ratio(process: Process, t: Tensor, s: Tensor) -> Tensor:
    """``(alpha_t / alpha_s)^2`` (), the factor ``a`` of the module's law for a step from ``t`` to ``s``."""
    return torch.tensor((level(process, t).alpha / level(process, s).alpha) ** 2, dtype=torch.float64)


def check_corrector(snr: float, norms: str) -> None:
    """Refuse settings of the corrector without meaning.

    Raises:
        UsageError: an unknown name, or a ratio that is not above 0.
    """
    check("snr", snr, snr > 0, "above 0")
    check_name("norms", norms, NORMS)
