"""SMCDiff (Trippe et al. 2023, "Diffusion probabilistic modeling of protein backbones in 3D for the motif-scaffolding
problem", algorithm 1): replacement made exact by particles.

Law: one path of the measurement, ``y_t`` for all times of the grid, is drawn by the forward process; a particle filter then
follows ``p(x_s | x_t)``, weighs each particle by the reverse kernel's density of ``y_s``, resamples, and sets its known part
to ``y_s``. As particles and steps grow, the law of a particle tends to ``p(x0 | y)``. What replacement leaves out are the one
path and the weights.

Weights of many known coordinates are uneven, so large images need many particles; ``twisted`` needs fewer.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser, evaluate
from evenscore.kernel import Gaussian, forward_kernel, level, reverse_kernel
from evenscore.restore.measurement import Measurement
from evenscore.restore.move import Noise
from evenscore.restore.particles import Cloud, ParticleRestoration, particle_noise, resample
from evenscore.restore.replacement import noised_values


@dataclass(frozen=True)
class SMCDiff(ParticleRestoration):
    """Replacement along one path of the measurement, with particles weighed by it: exact in the limit.

    Attributes:
        particles: K, particles for each sample.
        threshold: resample when the effective share of particles is below this, in [0, 1].
    """

    particles: int = 64
    source: ClassVar[str] = "Trippe et al. 2023"
    exact: ClassVar[bool] = True

    def cloud(self, denoiser: Denoiser, measurement: Measurement, y: Tensor, times: Tensor, noise: Noise) -> Cloud:
        rows, count, process = len(measurement), self.particles, denoiser.process
        path = [part.repeat_interleave(count, 0) for part in _path(denoiser, measurement, times, noise)]
        wide, labels = measurement.repeat(count), y.repeat_interleave(count, 0)
        x = wide.impose(process.prior(particle_noise(noise, count, wide.values)), path[0])
        log_weights = torch.zeros(rows, count, dtype=torch.float64, device=x.device)
        for (t, s), values in zip(pairwise(times), path[1:], strict=True):
            kernel = reverse_kernel(evaluate(denoiser, x, t, labels), level(process, t), level(process, s))
            log_weights = log_weights + _log_density(wide, kernel, values).reshape(rows, count)
            chosen, log_weights = resample(log_weights, self.threshold, noise)
            drawn = Gaussian(kernel.mean[chosen], kernel.std).draw(particle_noise(noise, count, x))
            x = wide.impose(drawn, values)
        clean = wide.impose(evaluate(denoiser, x, times[-1], labels).x0, wide.values)
        return Cloud(clean.reshape(rows, count, *clean.shape[1:]), log_weights)


def _path(denoiser: Denoiser, measurement: Measurement, times: Tensor, noise: Noise) -> list[Tensor]:
    """Noised measurements (B, *shape) at every time of the grid, as one path of the forward process."""
    path = [noised_values(denoiser, measurement, times[-1], noise)]
    for after, before in pairwise(level(denoiser.process, t) for t in times.flip(0)):
        path.append(forward_kernel(path[-1], before, after).draw(noise(denoiser.shape).to(path[-1])))
    return path[::-1]


def _log_density(measurement: Measurement, kernel: Gaussian, values: Tensor) -> Tensor:
    """Log density (B,) of the known coordinates ``values`` under the kernel, but for a constant."""
    apart = (values - measurement.frame.forward(kernel.mean)) / kernel.std
    return -0.5 * apart.square().where(measurement.known, torch.zeros_like(apart)).flatten(1).double().sum(1)
