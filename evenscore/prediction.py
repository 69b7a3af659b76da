"""One network output seen as clean sample, noise, score and v, each in closed form.

Laws, with ``x_t = alpha x0 + sigma eps``:

* ``x_t = alpha * prediction.x0 + sigma * prediction.eps`` holds for every prediction;
* ``score = -eps / sigma``; ``v = alpha eps - sigma x0`` (Salimans & Ho 2022).

The preconditioned form (Karras et al. 2022, table 1, written for any alpha and sigma, and for data of mean ``m`` and
standard deviation ``d``; derived): with ``r = x_t - alpha m``, ``s^2 = alpha^2 d^2 + sigma^2`` and raw output ``F``,

    x0  = m + (alpha d^2 / s^2) r + (sigma d / s) F        eps = (sigma / s^2) r - (alpha d / s) F

``F`` has unit variance as a target at every noise level; with ``d = 1, m = 0`` on a variance-preserving process it is
``-v``. Nothing is divided by alpha or sigma, only by ``s``, which is small nowhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from evenscore.errors import unknown
from evenscore.process import Process, expand


@dataclass(frozen=True)
class Prediction:
    """What a denoiser says about a noisy batch.

    Attributes:
        x_t: (B, ...) the noisy batch that was seen.
        alpha: (B, 1, ...) signal coefficient of each row.
        sigma: (B, 1, ...) noise coefficient of each row.
        x0: (B, ...) predicted clean sample, E[x0 | x_t, y].
        eps: (B, ...) predicted noise, E[eps | x_t, y].
    """

    x_t: Tensor
    alpha: Tensor
    sigma: Tensor
    x0: Tensor
    eps: Tensor

    @property
    def score(self) -> Tensor:
        """Gradient of log p_t at x_t, (B, ...)."""
        return -self.eps / self.sigma

    @property
    def v(self) -> Tensor:
        """``alpha eps - sigma x0``, (B, ...)."""
        return self.alpha * self.eps - self.sigma * self.x0

    @classmethod
    def from_raw(cls, raw: Tensor, x_t: Tensor, t: Tensor, process: Process, mean: Tensor, std: Tensor) -> Prediction:
        """From the raw output ``F`` of a preconditioned network; ``mean`` and ``std`` broadcast against ``x_t``."""
        alpha, sigma = _coefficients(process, t, x_t)
        spread = (alpha.square() * std.square() + sigma.square()).sqrt()
        rest = (x_t - alpha * mean) / spread
        x0 = mean + (alpha * std.square() / spread) * rest + (sigma * std / spread) * raw
        eps = (sigma / spread) * rest - (alpha * std / spread) * raw
        return cls(x_t, alpha, sigma, x0, eps)

    @classmethod
    def from_x0(cls, x0: Tensor, x_t: Tensor, t: Tensor, process: Process) -> Prediction:
        """From a predicted clean sample (divides by sigma)."""
        return cls.from_view("x0", x0, x_t, *_coefficients(process, t, x_t))

    @classmethod
    def from_eps(cls, eps: Tensor, x_t: Tensor, t: Tensor, process: Process) -> Prediction:
        """From predicted noise (divides by alpha)."""
        return cls.from_view("eps", eps, x_t, *_coefficients(process, t, x_t))

    @classmethod
    def from_score(cls, score: Tensor, x_t: Tensor, t: Tensor, process: Process) -> Prediction:
        """From a score (divides by alpha)."""
        return cls.from_eps(-expand(process.sigma(t), x_t) * score, x_t, t, process)

    @classmethod
    def from_v(cls, v: Tensor, x_t: Tensor, t: Tensor, process: Process) -> Prediction:
        """From ``v = alpha eps - sigma x0`` (divides by alpha^2 + sigma^2)."""
        return cls.from_view("v", v, x_t, *_coefficients(process, t, x_t))

    @classmethod
    def from_view(cls, view: str, value: Tensor, x_t: Tensor, alpha: Tensor, sigma: Tensor) -> Prediction:
        """From one view, for a caller that has the coefficients (B, 1, ...) at hand.

        Args:
            view: ``x0``, ``eps`` or ``v``.
            value: (B, ...) what was predicted.
            x_t: (B, ...) noisy batch.
            alpha: signal coefficients.
            sigma: noise coefficients.

        Raises:
            UsageError: an unknown view.
        """
        if view == "x0":
            return cls(x_t, alpha, sigma, value, (x_t - alpha * value) / sigma)
        if view == "eps":
            return cls(x_t, alpha, sigma, (x_t - sigma * value) / alpha, value)
        if view == "v":
            power = alpha.square() + sigma.square()
            return cls(x_t, alpha, sigma, (alpha * x_t - sigma * value) / power, (sigma * x_t + alpha * value) / power)
        raise unknown("view", view, ("x0", "eps", "v"))

    def combine(self, other: Prediction, weight: Tensor | float) -> Prediction:
        """``self + weight * (other - self)`` in every view; both must have seen the same ``x_t``."""
        mix: Callable[[Tensor, Tensor], Tensor] = lambda a, b: a + weight * (b - a)  # noqa: E731
        return Prediction(self.x_t, self.alpha, self.sigma, mix(self.x0, other.x0), mix(self.eps, other.eps))


def _coefficients(process: Process, t: Tensor, x_t: Tensor) -> tuple[Tensor, Tensor]:
    return expand(process.alpha(t), x_t), expand(process.sigma(t), x_t)
