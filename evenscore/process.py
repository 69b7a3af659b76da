"""Noise processes: ``x_t = alpha(t) x0 + sigma(t) eps`` with ``eps ~ N(0, I)``; ``t = 0`` is data, ``t = 1`` is noise.

Every process is the solution of the linear SDE ``dX = f(t) X dt + g(t) dW``, which fixes
``f = alpha' / alpha`` and ``g^2 = 2 sigma sigma' - 2 f sigma^2`` (Song et al. 2021, "Score-Based Generative Modeling
through Stochastic Differential Equations", section 3). Functions of time take and return float tensors of any shape.

A process is used on ``[t_min, t_max]``: at 0 the score may be infinite, at 1 the signal may be zero. Every process states
its own ``t_min``, chosen so that the noise left there is about one step of 8 bits or less (sigma at most 0.011).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from evenscore.errors import UsageError


class Process(ABC):
    """A noise process on time [0, 1].

    Attributes:
        t_min: smallest time of use.
        t_max: largest time of use.
    """

    t_min: ClassVar[float]
    t_max: ClassVar[float] = 1.0

    @abstractmethod
    def alpha(self, t: Tensor) -> Tensor:
        """Signal coefficient."""

    @abstractmethod
    def sigma(self, t: Tensor) -> Tensor:
        """Noise coefficient (standard deviation)."""

    @abstractmethod
    def drift(self, t: Tensor) -> Tensor:
        """``f(t) = d log alpha / dt``, per unit of time."""

    @abstractmethod
    def diffusion(self, t: Tensor) -> Tensor:
        """``g(t)``, per square root of a unit of time."""

    @abstractmethod
    def time(self, log_snr: Tensor) -> Tensor:
        """The time at which ``log_snr(t)`` has the given value."""

    def log_snr(self, t: Tensor) -> Tensor:
        """``log(alpha^2 / sigma^2)``, falling in ``t``."""
        return 2 * (self.alpha(t).log() - self.sigma(t).log())

    def log_snr_rate(self, t: Tensor) -> Tensor:
        """``-d log_snr / dt = g(t)^2 / sigma(t)^2``, per unit of time."""
        return (self.diffusion(t) / self.sigma(t)).square()

    def velocity(self, x0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        """``alpha'(t) x0 + sigma'(t) eps``: right side of the probability-flow ODE for predicted ``x0`` and ``eps``."""
        alpha_dot = self.drift(t) * self.alpha(t)
        sigma_dot = self.drift(t) * self.sigma(t) + self.diffusion(t).square() / (2 * self.sigma(t))
        return expand(alpha_dot, x0) * x0 + expand(sigma_dot, x0) * eps

    def perturb(self, x0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """Noised samples ``x_t``.

        Args:
            x0: (B, ...) clean samples.
            t: (B,) times.
            eps: (B, ...) standard normal noise.
        """
        return expand(self.alpha(t), x0) * x0 + expand(self.sigma(t), x0) * eps

    def prior(self, noise: Tensor) -> Tensor:
        """Samples of the terminal law N(0, sigma(t_max)^2) from standard normal ``noise`` of the same shape."""
        return self.sigma(torch.tensor(self.t_max, dtype=noise.dtype, device=noise.device)) * noise


@dataclass(frozen=True)
class LinearRate(Process):
    """Processes whose signal decays at the rate ``beta(t) / 2`` with ``beta(t) = beta_min + t (beta_max - beta_min)``.

    Attributes:
        beta_min: rate at time 0.
        beta_max: rate at time 1.
    """

    beta_min: float = 0.1
    beta_max: float = 20.0
    t_min: ClassVar[float] = 1e-3

    def alpha(self, t: Tensor) -> Tensor:
        return torch.exp(-self._exponent(t) / 2)

    def drift(self, t: Tensor) -> Tensor:
        return -self._beta(t) / 2

    def _exponent(self, t: Tensor) -> Tensor:
        """Integral of beta from 0 to t."""
        return t * self.beta_min + t.square() * (self.beta_max - self.beta_min) / 2

    def _beta(self, t: Tensor) -> Tensor:
        return self.beta_min + t * (self.beta_max - self.beta_min)

    def _time_of(self, exponent: Tensor) -> Tensor:
        """The time at which the integral of beta has the given value."""
        slope = self.beta_max - self.beta_min
        return 2 * exponent / (self.beta_min + torch.sqrt(self.beta_min**2 + 2 * slope * exponent))


@dataclass(frozen=True)
class VP(LinearRate):
    """Variance preserving, linear beta (Song et al. 2021, eq. 11).

    With B the integral of beta: ``alpha = exp(-B/2)``, ``sigma^2 = 1 - alpha^2``, ``f = -beta/2``, ``g^2 = beta``; prior
    N(0, 1), smallest time 1e-3.

    Attributes:
        beta_min: rate at time 0.
        beta_max: rate at time 1.
    """

    def sigma(self, t: Tensor) -> Tensor:
        return torch.sqrt(-torch.expm1(-self._exponent(t)))

    def diffusion(self, t: Tensor) -> Tensor:
        return self._beta(t).sqrt()

    def time(self, log_snr: Tensor) -> Tensor:
        return self._time_of(torch.nn.functional.softplus(-log_snr))


@dataclass(frozen=True)
class SubVP(LinearRate):
    """Sub-VP: the drift of VP with less noise, ``sigma = 1 - alpha^2`` (Song et al. 2021, eq. 12 and 29).

    With B the integral of beta: ``alpha = exp(-B/2)``, ``f = -beta/2``, ``g^2 = beta (1 - alpha^4)``; prior N(0, 1), smallest
    time 1e-3. The time of a log SNR follows from ``sigma / alpha = 2 sinh(B / 2)``.

    Attributes:
        beta_min: rate at time 0.
        beta_max: rate at time 1.
    """

    def sigma(self, t: Tensor) -> Tensor:
        return -torch.expm1(-self._exponent(t))

    def diffusion(self, t: Tensor) -> Tensor:
        return torch.sqrt(-self._beta(t) * torch.expm1(-2 * self._exponent(t)))

    def time(self, log_snr: Tensor) -> Tensor:
        return self._time_of(2 * torch.asinh(torch.exp(-log_snr / 2) / 2))


@dataclass(frozen=True)
class CosineVP(Process):
    """Variance preserving on a quarter circle: ``alpha = cos(a t)``, ``sigma = sin(a t)`` (Nichol & Dhariwal 2021).

    The angle ``a`` stays just below pi/2, so that log SNR ends at ``log_snr_min`` and the drift stays finite:
    ``f = -a tan(a t)``, ``g^2 = 2 a tan(a t)``; prior N(0, 1), smallest time 1e-3.

    Attributes:
        log_snr_min: log SNR at time 1.
    """

    log_snr_min: float = -14.0
    t_min: ClassVar[float] = 1e-3

    @property
    def angle(self) -> float:
        """Angle at time 1, radians."""
        return math.atan(math.exp(-self.log_snr_min / 2))

    def alpha(self, t: Tensor) -> Tensor:
        return torch.cos(self.angle * t)

    def sigma(self, t: Tensor) -> Tensor:
        return torch.sin(self.angle * t)

    def drift(self, t: Tensor) -> Tensor:
        return -self.angle * torch.tan(self.angle * t)

    def diffusion(self, t: Tensor) -> Tensor:
        return torch.sqrt(2 * self.angle * torch.tan(self.angle * t))

    def velocity(self, x0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        angle = expand(self.angle * t, x0)
        return self.angle * (torch.cos(angle) * eps - torch.sin(angle) * x0)

    def time(self, log_snr: Tensor) -> Tensor:
        return torch.atan(torch.exp(-log_snr / 2)) / self.angle


@dataclass(frozen=True)
class VE(Process):
    """Variance exploding: ``alpha = 1``, ``sigma = sigma_min (sigma_max / sigma_min)^t`` (Song et al. 2021, eq. 9).

    ``f = 0``, ``g^2 = 2 ln(sigma_max / sigma_min) sigma^2``; prior N(0, sigma_max^2), smallest time 0, where
    sigma is sigma_min.

    Attributes:
        sigma_min: noise at time 0, in units of the data.
        sigma_max: noise at time 1.
    """

    sigma_min: float = 0.01
    sigma_max: float = 50.0
    t_min: ClassVar[float] = 0.0

    @property
    def rate(self) -> float:
        """``d log sigma / dt``."""
        return math.log(self.sigma_max / self.sigma_min)

    def alpha(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)

    def sigma(self, t: Tensor) -> Tensor:
        return self.sigma_min * torch.exp(self.rate * t)

    def drift(self, t: Tensor) -> Tensor:
        return torch.zeros_like(t)

    def diffusion(self, t: Tensor) -> Tensor:
        return self.sigma(t) * math.sqrt(2 * self.rate)

    def time(self, log_snr: Tensor) -> Tensor:
        return (-log_snr / 2 - math.log(self.sigma_min)) / self.rate


@dataclass(frozen=True)
class VEPower(Process):
    """Variance exploding by powers of a base: ``dX = base^t dW`` (Song et al. 2021, in their tutorial form).

    ``alpha = 1``, ``sigma^2 = (base^(2t) - 1) / (2 ln base)``, ``f = 0``, ``g^2 = base^(2t)``; smallest time 1e-4. At time 1
    the usual base 25 leaves sigma = 9.8 only, so the prior N(0, sigma(1)^2) is close to the terminal law for data of unit size
    round 0, and for no other.

    Attributes:
        base: growth of the diffusion coefficient over the whole process, above 1.

    Raises:
        UsageError: a base that is not above 1.
    """

    base: float = 25.0
    t_min: ClassVar[float] = 1e-4

    def __post_init__(self) -> None:
        if not self.base > 1:
            raise UsageError(f"base is {self.base:g}: give a number above 1")

    @property
    def rate(self) -> float:
        """``d log g^2 / dt = 2 ln base``."""
        return 2 * math.log(self.base)

    def alpha(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)

    def sigma(self, t: Tensor) -> Tensor:
        return torch.sqrt(torch.expm1(self.rate * t) / self.rate)

    def drift(self, t: Tensor) -> Tensor:
        return torch.zeros_like(t)

    def diffusion(self, t: Tensor) -> Tensor:
        return torch.exp(self.rate * t / 2)

    def time(self, log_snr: Tensor) -> Tensor:
        return torch.log1p(self.rate * torch.exp(-log_snr)) / self.rate


@dataclass(frozen=True)
class OU(Process):
    """Ornstein-Uhlenbeck, ``dX = -X ds + sqrt(2) dW`` for ``s`` in [0, horizon], with ``s = horizon * t``.

    The process of "Principled Long-Tailed Generative Modeling via Diffusion Models" (Das et al. 2025). With T the horizon:
    ``alpha = exp(-T t)``, ``sigma^2 = 1 - alpha^2``, ``f = -T``, ``g^2 = 2 T``; prior N(0, 1), smallest time 1e-5.

    Attributes:
        horizon: the length T of the process in its own time.
    """

    horizon: float = 5.0
    t_min: ClassVar[float] = 1e-5

    def alpha(self, t: Tensor) -> Tensor:
        return torch.exp(-self.horizon * t)

    def sigma(self, t: Tensor) -> Tensor:
        return torch.sqrt(-torch.expm1(-2 * self.horizon * t))

    def drift(self, t: Tensor) -> Tensor:
        return torch.full_like(t, -self.horizon)

    def diffusion(self, t: Tensor) -> Tensor:
        return torch.full_like(t, math.sqrt(2 * self.horizon))

    def time(self, log_snr: Tensor) -> Tensor:
        return torch.nn.functional.softplus(-log_snr) / (2 * self.horizon)


@dataclass(frozen=True)
class RectifiedFlow(Process):
    """Straight lines from data to noise: ``alpha = 1 - t``, ``sigma = t`` (Liu et al. 2022; Lipman et al. 2023).

    ``f = -1 / (1 - t)``, ``g^2 = 2 t / (1 - t)``; smallest time 1e-3. At time 1 the signal is zero, and drift and diffusion are
    infinite; the process stops at ``t_max = 0.999``, with the prior N(0, 0.999^2).
    """

    t_min: ClassVar[float] = 1e-3
    t_max: ClassVar[float] = 0.999

    def alpha(self, t: Tensor) -> Tensor:
        return 1 - t

    def sigma(self, t: Tensor) -> Tensor:
        return t

    def drift(self, t: Tensor) -> Tensor:
        return -1 / (1 - t)

    def diffusion(self, t: Tensor) -> Tensor:
        return torch.sqrt(2 * t / (1 - t))

    def velocity(self, x0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        return eps - x0

    def time(self, log_snr: Tensor) -> Tensor:
        return torch.sigmoid(-log_snr / 2)


PROCESSES: Mapping[str, type[Process]] = {
    "vp": VP,
    "vp-cosine": CosineVP,
    "sub-vp": SubVP,
    "ve": VE,
    "ve-power": VEPower,
    "ou": OU,
    "rectified-flow": RectifiedFlow,
}


def expand(value: Tensor, like: Tensor) -> Tensor:
    """``value`` (B,) or () with trailing axes added, so that it multiplies ``like`` (B, ...) row by row."""
    return value.reshape(value.shape + (1,) * (like.ndim - value.ndim)) if value.ndim else value


def check_times(process: Process, t: Tensor) -> None:
    """Refuse times outside the range of the process.

    Raises:
        UsageError: a time outside ``[t_min, t_max]``.
    """
    if bool((t < process.t_min - 1e-6).any()) or bool((t > process.t_max + 1e-6).any()):
        span = f"[{process.t_min:g}, {process.t_max:g}]"
        raise UsageError(
            f"time {t.flatten().tolist()[:3]} lies outside {span} of {type(process).__name__}: choose times inside it"
        )
