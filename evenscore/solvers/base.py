"""Solvers carry a noisy batch from a time ``t`` to an earlier time ``s``, with the denoiser as their only source.

Law: everything a step needs comes in as an argument and everything the next one needs goes out in the returned
:class:`Step`; a solver stores nothing. Each declares its order: halving all steps divides the error by ``2^order``.

Times are 0-dim tensors, best in float64: coefficients are then exact, and samples keep their own dtype. The coefficients
of a time are plain numbers and are remembered (:func:`level`), since every batch visits the same times.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import lru_cache
from typing import ClassVar, NamedTuple, TypeAlias

import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.errors import UsageError
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


def evaluate(denoiser: Denoiser, x: Tensor, t: Tensor, y: Tensor) -> Prediction:
    """The denoiser at one time for the whole batch ``x`` (B, ...)."""
    return denoiser.predict(x, t.to(x).expand(len(x)), y)


class Level(NamedTuple):
    """The coefficients of a process at one time, in double precision."""

    alpha: float
    sigma: float
    log_snr: float
    drift: float
    diffusion: float


def level(process: Process, t: Tensor) -> Level:
    """The coefficients of ``process`` at the time ``t`` ()."""
    return _level(process, float(t))


@lru_cache(maxsize=8192)
def _level(process: Process, t: float) -> Level:
    time = torch.tensor(t, dtype=torch.float64)
    functions = (process.alpha, process.sigma, process.log_snr, process.drift, process.diffusion)
    return Level(*(float(function(time)) for function in functions))


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
