"""Replacement (Song et al. 2021, appendix I.2): after every step the known part is overwritten by a noised measurement.

Law of a step: ``x_s <- step(x_t)``; then the known coordinates become ``alpha_s values + sigma_s z`` with new noise.

It samples, at each time, from ``p_t(unknown | y_t)`` with ``y_t`` noised anew, where the true law has ``p_t(unknown | y)``. At
high noise ``y_t`` says little, so modes are chosen almost as if nothing were known: the method is biased, and neither more
steps nor more samples remove that. `python -m benchmarks conditional` measures the bias.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from torch import Tensor

from evenscore.denoisers.base import Denoiser, evaluate
from evenscore.kernel import forward_kernel, level
from evenscore.restore.base import Restoration
from evenscore.restore.measurement import Measurement
from evenscore.restore.move import REVERSE, Move, Noise


class Overwriting(Restoration):
    """A restoration that overwrites the known part after every step; which times it visits is the method."""

    def __call__(
        self,
        denoiser: Denoiser,
        measurement: Measurement,
        y: Tensor,
        times: Tensor,
        noise: Noise,
        move: Move = REVERSE,
    ) -> Tensor:
        """Restored samples; ``move`` is the step, the ancestral one or any solver."""
        process, place = denoiser.process, times[0]
        x = begin(denoiser, measurement, times, noise)
        for stretch in self.stretches(times):
            if stretch[0] > place:
                up = forward_kernel(x, level(process, stretch[0]), level(process, place))
                x = up.draw(noise(denoiser.shape).to(x))
            x = descend(denoiser, measurement, x, stretch, y, noise, move)
            place = stretch[-1]
        return finish(denoiser, measurement, x, times, y)

    @abstractmethod
    def stretches(self, times: Tensor) -> Iterator[Tensor]:
        """The stretches of the grid (N + 1,) to descend, in order; before one that begins higher, noise is added."""


@dataclass(frozen=True)
class Replacement(Overwriting):
    """Overwrite the known part with a noised measurement after every step: quick, and biased."""

    source: ClassVar[str] = "Song et al. 2021"
    exact: ClassVar[bool] = False

    def stretches(self, times: Tensor) -> Iterator[Tensor]:
        """The whole grid, once."""
        yield times


def begin(denoiser: Denoiser, measurement: Measurement, times: Tensor, noise: Noise) -> Tensor:
    """Noise at the first time, with the noised measurement in its place."""
    x = denoiser.process.prior(noise(denoiser.shape).to(measurement.values))
    return measurement.impose(x, noised_values(denoiser, measurement, times[0], noise))


def descend(
    denoiser: Denoiser, measurement: Measurement, x: Tensor, times: Tensor, y: Tensor, noise: Noise, move: Move
) -> Tensor:
    """``x`` carried along ``times`` with replacement after every step."""
    state = move.init(x)
    for t, s in pairwise(times):
        fresh = noise(denoiser.shape).to(x) if move.stochastic else None
        outcome = move.step(denoiser, x, t, s, y, state, fresh)
        x, state = measurement.impose(outcome.x, noised_values(denoiser, measurement, s, noise)), outcome.state
    return x


def finish(denoiser: Denoiser, measurement: Measurement, x: Tensor, times: Tensor, y: Tensor) -> Tensor:
    """The predicted clean sample, with the measurement itself in its place."""
    return measurement.impose(evaluate(denoiser, x, times[-1], y).x0, measurement.values)


def noised_values(denoiser: Denoiser, measurement: Measurement, t: Tensor, noise: Noise) -> Tensor:
    """The measured coordinates as they would look at time ``t`` with new noise, (B, *shape)."""
    return denoiser.process.perturb(measurement.values, t, noise(denoiser.shape).to(measurement.values))
