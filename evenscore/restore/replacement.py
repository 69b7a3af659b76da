"""Replacement (Song et al. 2021, appendix I.2): after every step the known part is overwritten by a noised measurement.

Law of a step: ``x_s <- step(x_t)``; then the known coordinates become ``alpha_s values + sigma_s z`` with new noise.

It samples, at each time, from ``p_t(unknown | y_t)`` with ``y_t`` noised anew, where the true law has ``p_t(unknown | y)``. At
high noise ``y_t`` says little, so modes are chosen almost as if nothing were known: the method is biased, and neither more
steps nor more samples remove that. `python -m benchmarks conditional` measures the bias.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.restore.base import Restoration
from evenscore.restore.kernel import REVERSE, Move, Noise, predict_at
from evenscore.restore.measurement import Measurement


@dataclass(frozen=True)
class Replacement(Restoration):
    """Overwrite the known part with a noised measurement after every step: quick, and biased."""

    source: ClassVar[str] = "Song et al. 2021"
    exact: ClassVar[bool] = False

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
        x = begin(denoiser, measurement, times, noise)
        x = descend(denoiser, measurement, x, times, y, noise, move)
        return finish(denoiser, measurement, x, times, y)


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
    return measurement.impose(predict_at(denoiser, x, times[-1], y).x0, measurement.values)


def noised_values(denoiser: Denoiser, measurement: Measurement, t: Tensor, noise: Noise) -> Tensor:
    """The measured coordinates as they would look at time ``t`` with new noise, (B, *shape)."""
    values = measurement.values
    return denoiser.process.alpha(t) * values + denoiser.process.sigma(t) * noise(denoiser.shape).to(values)
