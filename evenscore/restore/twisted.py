"""The twisted diffusion sampler (Wu et al. 2023, "Practical and Asymptotically Exact Conditional Sampling in Diffusion
Models", algorithm 1): guidance by reconstruction, and particles that take back its error.

Law: the denoiser's own guess of the measurement twists every time,

    h_t(x_t) = N(values; known part of E[x0 | x_t], v_t),    v_t = sigma_t^2 d^2 / (alpha_t^2 d^2 + sigma_t^2)

with ``d`` the spread of the data. A particle moves by the reverse kernel ``N(m, c^2)`` with its mean shifted by
``c^2 grad log h_t``, and its weight is multiplied by ``p(x_s | x_t) h_s(x_s) / (proposal(x_s) h_t(x_t))``. As
particles and steps grow, their law tends to the model's conditional one; with one particle it is reconstruction guidance,
which is biased.

Each step costs one evaluation of the denoiser and one pass back through it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from evenscore import records
from evenscore.denoisers.base import Denoiser, evaluate
from evenscore.kernel import level, reverse_kernel
from evenscore.prediction import Prediction
from evenscore.restore.measurement import Measurement
from evenscore.restore.move import Noise
from evenscore.restore.particles import Cloud, ParticleRestoration, particle_noise, resample


@dataclass(frozen=True)
class Twisted(ParticleRestoration):
    """Guidance by reconstruction, with particles that take back its error: exact in the limit.

    Attributes:
        particles: K, particles for each sample.
        threshold: resample when the effective share of particles is below this, in [0, 1].
        spread: standard deviation of the data; None for what the denoiser says.
    """

    particles: int = 8
    spread: float | None = None
    source: ClassVar[str] = "Wu et al. 2023"
    exact: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        records.check("spread", self.spread, self.spread is None or self.spread > 0, "above 0")

    def cloud(self, denoiser: Denoiser, measurement: Measurement, y: Tensor, times: Tensor, noise: Noise) -> Cloud:
        with torch.inference_mode(False), torch.no_grad():
            return self._cloud(denoiser, measurement, y, times.clone(), noise)

    def _cloud(self, denoiser: Denoiser, measurement: Measurement, y: Tensor, times: Tensor, noise: Noise) -> Cloud:
        rows, count, process = len(measurement), self.particles, denoiser.process
        wide, labels = measurement.repeat(count), y.repeat_interleave(count, 0)
        std = self.spread or float(torch.as_tensor(denoiser.data_std).double().square().mean().sqrt())
        x = process.prior(particle_noise(noise, count, wide.values))
        now = _twist(denoiser, wide, x, times[0], labels, std)
        log_weights = now.log_twist.reshape(rows, count)
        for t, s in pairwise(times):
            chosen, log_weights = resample(log_weights, self.threshold, noise)
            now = now.take(chosen)
            kernel = reverse_kernel(now.prediction, level(process, t), level(process, s))
            z = particle_noise(noise, count, x)
            shift = kernel.std * now.gradient
            x = kernel.draw(z + shift)
            ratio = -(shift * z + 0.5 * shift.square()).flatten(1).double().sum(1)
            then = _twist(denoiser, wide, x, s, labels, std)
            log_weights = log_weights + (ratio + then.log_twist - now.log_twist).reshape(rows, count)
            now = then
        clean = wide.impose(now.prediction.x0, wide.values)
        return Cloud(clean.reshape(rows, count, *clean.shape[1:]), log_weights)


class _Twist(NamedTuple):
    """What is known of the particles at one time: prediction, log h (N,) float64, and its gradient (N, *shape)."""

    prediction: Prediction
    log_twist: Tensor
    gradient: Tensor

    def take(self, chosen: Tensor) -> _Twist:
        """The particles at ``chosen``."""
        p = self.prediction
        taken = Prediction(p.x_t[chosen], p.alpha[chosen], p.sigma[chosen], p.x0[chosen], p.eps[chosen])
        return _Twist(taken, self.log_twist[chosen], self.gradient[chosen])


def _twist(denoiser: Denoiser, measurement: Measurement, x: Tensor, t: Tensor, y: Tensor, std: float) -> _Twist:
    here = level(denoiser.process, t)
    variance = (here.sigma * std) ** 2 / ((here.alpha * std) ** 2 + here.sigma**2)
    with torch.enable_grad():
        point = x.detach().clone().requires_grad_()
        prediction = evaluate(denoiser, point, t, y)
        misfit = measurement.misfit(prediction.x0).flatten(1).double()
        count = measurement.mask.flatten(1).sum(1)
        log_twist = -0.5 * (misfit.square().sum(1) / variance + count * math.log(2 * math.pi * variance))
        (gradient,) = torch.autograd.grad(log_twist.sum(), point)
    plain = replace(prediction, x_t=x, x0=prediction.x0.detach(), eps=prediction.eps.detach())
    return _Twist(plain, log_twist.detach(), gradient)
