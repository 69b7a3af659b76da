"""The two Gaussian kernels between neighbouring times ``s < t``, and the step that restorations take.

Laws, with ``r = 1 - SNR_t / SNR_s`` (derived from ``x_t = alpha x0 + sigma eps`` of a linear SDE):

    forward:  x_t | x_s      ~ N( (alpha_t / alpha_s) x_s,  sigma_t^2 r )
    reverse:  x_s | x_t, x0  ~ N( alpha_s x0 + sigma_s sqrt(1 - r) eps,  sigma_s^2 r ),   eps = (x_t - alpha_t x0) / sigma_t

The second is the ancestral step (Ho et al. 2020, eq. 6) with the denoiser's prediction in place of x0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias

import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.prediction import Prediction
from evenscore.process import Process

Noise: TypeAlias = Callable[[Sequence[int]], Tensor]
"""Maps the shape of one sample to (B, *shape) standard normal values, the next ones of every row."""


class Move(Protocol):
    """One step from a time to an earlier one; every solver of the library is one."""

    @property
    def stochastic(self) -> bool:
        """Whether a step needs noise."""

    def init(self, x: Tensor) -> Any:
        """The state before the first step."""

    def step(
        self, denoiser: Denoiser, x: Tensor, t: Tensor, s: Tensor, y: Tensor, state: Any, noise: Tensor | None
    ) -> Any:
        """An outcome with attributes ``x`` and ``state``."""


class Gaussian(NamedTuple):
    """A Gaussian kernel: (B, *shape) means and one standard deviation."""

    mean: Tensor
    std: Tensor

    def draw(self, z: Tensor) -> Tensor:
        """A value from standard normal ``z``."""
        return self.mean + self.std * z


class Moved(NamedTuple):
    """The outcome of a step."""

    x: Tensor
    state: tuple[()] = ()


def fresh_share(process: Process, t: Tensor, s: Tensor) -> Tensor:
    """``r = 1 - SNR_t / SNR_s``, exact for small steps."""
    return -torch.expm1(process.log_snr(t) - process.log_snr(s))


def forward_kernel(process: Process, x: Tensor, s: Tensor, t: Tensor) -> Gaussian:
    """The law of ``x_t`` given ``x_s = x`` for ``s < t``."""
    std = process.sigma(t) * fresh_share(process, t, s).sqrt()
    return Gaussian(process.alpha(t) / process.alpha(s) * x, std)


def reverse_kernel(process: Process, prediction: Prediction, t: Tensor, s: Tensor) -> Gaussian:
    """The law of ``x_s`` given ``x_t``, with the prediction at ``t`` for the clean sample."""
    r = fresh_share(process, t, s)
    alpha, sigma = process.alpha(s), process.sigma(s)
    return Gaussian(alpha * prediction.x0 + sigma * (1 - r).sqrt() * prediction.eps, sigma * r.sqrt())


def predict_at(denoiser: Denoiser, x: Tensor, t: Tensor, y: Tensor) -> Prediction:
    """The denoiser at one time for the whole batch."""
    return denoiser.predict(x, t.to(x).expand(len(x)), y)


@dataclass(frozen=True)
class Reverse:
    """The ancestral step as a :class:`Move`; no settings."""

    @property
    def stochastic(self) -> bool:
        """Always True."""
        return True

    def init(self, x: Tensor) -> tuple[()]:
        """Nothing is remembered."""
        return ()

    def step(
        self, denoiser: Denoiser, x: Tensor, t: Tensor, s: Tensor, y: Tensor, state: Any, noise: Tensor | None
    ) -> Moved:
        """One draw of the reverse kernel."""
        assert noise is not None
        return Moved(reverse_kernel(denoiser.process, predict_at(denoiser, x, t, y), t, s).draw(noise))


REVERSE = Reverse()
