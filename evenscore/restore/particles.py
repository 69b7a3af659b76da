"""Weighted particles: K samples for each row, of which the heavy ones are kept and the light ones dropped; and the
restorations that are made of them.

Law: the weighted particles of a row represent one law; resampling leaves the expectation of every weighted average as it
was. Systematic resampling (Kitagawa 1996): one uniform number for each row, and copies that differ by less than one from
``K`` times the weight.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from evenscore import records
from evenscore.denoisers.base import Denoiser
from evenscore.restore.base import Restoration
from evenscore.restore.measurement import Measurement
from evenscore.restore.move import Noise


@dataclass(frozen=True)
class Cloud:
    """Weighted particles.

    Attributes:
        x: (B, K, *shape) particles.
        log_weights: (B, K) float64 log weights, known but for a constant of each row.
    """

    x: Tensor
    log_weights: Tensor

    @property
    def weights(self) -> Tensor:
        """(B, K) weights, each row summing to 1."""
        return self.log_weights.softmax(1)

    def draw(self, noise: Noise) -> Tensor:
        """One particle of each row, (B, *shape), by its weight."""
        place = torch.searchsorted(_cumulated(self.weights), _uniform(noise, self.log_weights), right=True)
        return self.x[torch.arange(len(self.x), device=self.x.device), place.squeeze(1)]


@dataclass(frozen=True)
class ParticleRestoration(Restoration):
    """A restoration that follows a cloud for each sample, and draws one particle of it by its weight.

    Attributes:
        particles: K, particles for each sample.
        threshold: resample when the effective share of particles is below this, in [0, 1].
    """

    particles: int
    threshold: float = 0.5

    def __post_init__(self) -> None:
        records.check("particles", self.particles, self.particles >= 1, "at least 1")
        records.check("threshold", self.threshold, 0 <= self.threshold <= 1, "from 0 to 1")

    @property
    def width(self) -> int:
        """The number of particles."""
        return self.particles

    def __call__(self, denoiser: Denoiser, measurement: Measurement, y: Tensor, times: Tensor, noise: Noise) -> Tensor:
        return self.cloud(denoiser, measurement, y, times, noise).draw(noise)

    @abstractmethod
    def cloud(self, denoiser: Denoiser, measurement: Measurement, y: Tensor, times: Tensor, noise: Noise) -> Cloud:
        """All particles (B, K, *shape) with their weights; arguments as for a call."""


def effective(log_weights: Tensor) -> Tensor:
    """Effective number of particles of each row, (B,): 1 / sum of squared weights, from 1 to K."""
    return 1 / log_weights.softmax(1).square().sum(1)


def resample(log_weights: Tensor, threshold: float, noise: Noise) -> tuple[Tensor, Tensor]:
    """Which particles go on, (B * K,) indices into the flattened rows, and the log weights (B, K) after that.

    Args:
        log_weights: (B, K).
        threshold: rows whose effective share is above this keep their particles and weights.
        noise: one number of each row is used, whether the row is resampled or not.
    """
    rows, count = log_weights.shape
    places = (torch.arange(count).to(log_weights) + _uniform(noise, log_weights)) / count
    chosen = torch.searchsorted(_cumulated(log_weights.softmax(1)), places, right=True)
    same = torch.arange(count, device=chosen.device).expand(rows, count)
    poor = (effective(log_weights) < threshold * count)[:, None]
    after = torch.where(poor, torch.zeros_like(log_weights), log_weights)
    chosen = torch.where(poor, chosen, same)
    return (chosen + count * torch.arange(rows, device=chosen.device)[:, None]).flatten(), after


def particle_noise(noise: Noise, count: int, like: Tensor) -> Tensor:
    """Standard normal values for ``count`` particles of each row, (B * count, *shape), in the shape of ``like``'s rows."""
    return noise((count, *like.shape[1:])).flatten(0, 1).to(like)


def _uniform(noise: Noise, like: Tensor) -> Tensor:
    """(B, 1) numbers in [0, 1)."""
    uniform: Tensor = torch.special.ndtr(noise((1,)).double())
    return uniform.clamp(0, 1 - 1e-9).to(like)


def _cumulated(weights: Tensor) -> Tensor:
    """Cumulated weights whose last is above every place asked for."""
    total = weights.cumsum(1)
    total[:, -1] = 2.0
    return total
