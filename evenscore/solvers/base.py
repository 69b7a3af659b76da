"""Solvers carry a noisy batch from a time ``t`` to an earlier time ``s``, with the denoiser as their only source.

Law: everything a step needs comes in as an argument and everything the next one needs goes out in the returned
:class:`Step`; a solver stores nothing. Each declares its order: halving all steps divides the error by ``2^order``.

Times are 0-dim tensors, best in float64: coefficients (:func:`evenscore.kernel.level`) are then exact, and samples keep
their own dtype.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple, TypeAlias

import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser, evaluate
from evenscore.errors import UsageError
from evenscore.kernel import Gaussian, Level, level
from evenscore.prediction import Prediction
from evenscore.process import Process

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
        order: order of convergence in the step size (weak order for stochastic solvers: that of sample statistics).
    """

    order: ClassVar[int]

    @property
    def evaluations(self) -> int:
        """Denoiser evaluations per interval of the time grid; for a solver with adaptive steps, the least."""
        return 1

    @property
    def stochastic(self) -> bool:
        """Whether a step needs noise. A property of the instance, since a setting may decide it."""
        return False

    def path(self, times: Tensor) -> Tensor:
        """The times that the loop visits, from those of the grid (N + 1,); a repeated time is a step that stays there."""
        return times

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
            s: () time to reach, below ``t``; equal to it only where :meth:`path` says so.
            y: (B,) labels.
            state: from :meth:`init` or the step before.
            noise: (B, ...) standard normal values for a stochastic solver, None for a deterministic one.

        Raises:
            UsageError: a stochastic solver was given no noise.
        """


class KernelSolver(Solver):
    """A solver whose step is a draw from a Gaussian, which one evaluation at its start determines."""

    @property
    def stochastic(self) -> bool:
        """True, unless a setting says otherwise; where it is False the step is the mean."""
        return True

    @abstractmethod
    def kernel(self, process: Process, now: Prediction, before: Level, after: Level) -> Gaussian:
        """The law of a step.

        Args:
            process: of the denoiser.
            now: what it said of the batch, ``now.x_t``.
            before: the level of the batch.
            after: the level to reach.
        """

    def step(
        self, denoiser: Denoiser, x: Tensor, t: Tensor, s: Tensor, y: Tensor, state: State, noise: Tensor | None
    ) -> Step:
        fresh = given(noise, self) if self.stochastic else None
        now, process = evaluate(denoiser, x, t, y), denoiser.process
        law = self.kernel(process, now, level(process, t), level(process, s))
        return Step(law.mean if fresh is None else law.draw(fresh), state, now)


class ChainSolver(Solver):
    """A solver that takes several steps of a Markov chain at every time of the grid after the first.

    Attributes:
        steps: steps at each time.
    """

    steps: int

    @property
    def evaluations(self) -> int:
        """One per step."""
        return self.steps

    @property
    def stochastic(self) -> bool:
        """Always True."""
        return True

    def path(self, times: Tensor) -> Tensor:
        """Each time after the first as often as there are steps at it."""
        return visits(times, self.steps)


def given(noise: Tensor | None, solver: Solver) -> Tensor:
    """The noise of a stochastic solver's step.

    Raises:
        UsageError: there is none.
    """
    if noise is None:
        name = type(solver).__name__
        raise UsageError(f"{name} was given no noise: pass standard normal values in the shape of the batch")
    return noise


def visits(times: Tensor, steps: int) -> Tensor:
    """Every time after the first repeated ``steps`` times: (1 + N steps,) from (N + 1,)."""
    return torch.cat([times[:1], times[1:].repeat_interleave(steps)])
