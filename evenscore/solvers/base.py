"""Solvers carry a noisy batch from a time ``t`` to an earlier time ``s``, with the denoiser as their only source.

Law: everything a step needs comes in as an argument and everything the next one needs goes out in the returned
:class:`Step`; a solver stores nothing. Each declares its order: halving all steps divides the error by ``2^order``.

Times are 0-dim tensors, best in float64: coefficients are then exact, and samples keep their own dtype.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple, TypeAlias

from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.prediction import Prediction

State: TypeAlias = tuple[Tensor, ...]
"""What a multistep solver remembers; empty for one-step solvers and before the first step."""


class Step(NamedTuple):
    """The outcome of one step.

    Attributes:
        x: (B, ...) the batch at the new time.
        state: input of the next step.
        prediction: what the denoiser said at the start of the step; for a person to look at, not for the next step.
    """

    x: Tensor
    state: State
    prediction: Prediction


class Solver(ABC):
    """A rule for one step. Subclasses are frozen dataclasses whose fields are their settings.

    Attributes:
        order: order of convergence in the step size (weak order for stochastic solvers).
        evaluations: denoiser evaluations per step.
    """

    order: ClassVar[int]
    evaluations: ClassVar[int]

    @property
    def stochastic(self) -> bool:
        """Whether a step needs noise. A property of the instance, since a setting may decide it."""
        return False

    def init(self, x: Tensor) -> State:
        """The state before the first step from the batch ``x``."""
        return ()

    @abstractmethod
    def step(
        self, denoiser: Denoiser, x: Tensor, t: Tensor, s: Tensor, y: Tensor, state: State, noise: Tensor | None
    ) -> Step:
        """One step.

        Args:
            denoiser: gives the predictions.
            x: (B, ...) batch at time ``t``.
            t: () time now.
            s: () time to reach, below ``t``.
            y: (B,) labels.
            state: from :meth:`init` or the step before.
            noise: (B, ...) standard normal values for a stochastic solver, None for a deterministic one.
        """


def evaluate(denoiser: Denoiser, x: Tensor, t: Tensor, y: Tensor) -> Prediction:
    """The denoiser at one time for the whole batch ``x`` (B, ...)."""
    return denoiser.predict(x, t.to(x).expand(len(x)), y)
