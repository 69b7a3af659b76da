r"""The probability-flow ODE of a denoiser: log-densities, and the latent that belongs to a sample.

The flow ``dx/dt = v(x, t) = alpha'(t) x0(x, t) + sigma'(t) eps(x, t)`` carries the law at ``t_min`` to the law at
``t_max``, and with the change of variables (Song et al. 2021, section 4.3; Chen et al. 2018)

    log p_{t_min}(x) = log p_{t_max}(x(t_max)) + integral of div v(x(t), t) dt from t_min to t_max

It is integrated over log SNR ``l`` instead of time, with ``dt/dl = -sigma^2 / g^2``, because paths change evenly in it.

Law: a sample's log-density, latent and probe depend on the sample, its label, the seed and its index, never on its
batch. A sample is taken to stand at ``t_min``, where the process ends when it samples: the density is that of the data
with the noise ``sigma(t_min)`` that is left there. State and time are float64; the network keeps its own precision.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser, evaluation
from evenscore.errors import UsageError, unknown
from evenscore.likelihood.divergence import DIVERGENCES, choose, divergence, probes
from evenscore.likelihood.dormand_prince import solve
from evenscore.process import Process

PRIORS = ("normal", "exact")
LARGEST_TOLERANCE = 0.1
LATENT_TOLERANCE = 1e-7
"""Of encode and decode: where the flow parts the modes of the data it magnifies an error of a step a thousand times."""


@runtime_checkable
class KnowsDensity(Protocol):
    """A denoiser that knows the noised density of its data, such as the Gaussian mixture."""

    def log_density(self, x_t: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """``log p_t(x_t | y)`` (B,) in nats."""


@dataclass(frozen=True)
class Likelihood:
    """How log-densities are computed; checked when made.

    Attributes:
        tolerance: largest error of one step in a coordinate or in the log-density per dimension, absolute and relative.
        divergence: ``exact`` (one backward pass per dimension), ``rademacher`` or ``gaussian`` (Hutchinson's unbiased
            estimate with one probe for each sample), or ``auto``: exact up to 16 dimensions, rademacher above.
        prior: law at ``t_max``: ``normal``, which is N(0, sigma(t_max)^2) and where sampling starts, or ``exact``, the
            terminal marginal of a denoiser that knows it.

    Raises:
        UsageError: an unknown name, or a tolerance outside its range.
    """

    tolerance: float = 1e-5
    divergence: str = "auto"
    prior: str = "normal"

    def __post_init__(self) -> None:
        _check_tolerance(self.tolerance)
        if self.divergence not in DIVERGENCES:
            raise unknown("divergence", self.divergence, DIVERGENCES)
        if self.prior not in PRIORS:
            raise unknown("prior", self.prior, PRIORS)


def log_prob(
    denoiser: Denoiser,
    x: Tensor,
    y: Tensor,
    *,
    how: Likelihood | None = None,
    seed: int = 0,
    indices: Sequence[int] | None = None,
) -> Tensor:
    """Log-density of each sample given its label, (B,) float64, in nats.

    Of a trained run, for samples in [-1, 1] of its data::

        import torch
        import evenscore

        run = evenscore.Run.open("runs/digits")
        data = evenscore.load("digits")
        x, y = data.tensor([0, 1, 2]), torch.from_numpy(data.labels[:3])
        nats = evenscore.log_prob(run.denoiser(), x, y, how=evenscore.Likelihood(tolerance=1e-4))

    Args:
        denoiser: gives the flow; run in evaluation mode, which is undone afterwards.
        x: (B, *shape) samples, on the device of the denoiser.
        y: (B,) labels, ``num_classes`` for none.
        how: tolerance, divergence and prior; the defaults of :class:`Likelihood` when None.
        seed: with a sample's index, fixes its probe.
        indices: (B,) number of each sample; None for 0 .. B-1.

    Raises:
        UsageError: shapes or labels that do not fit, or the exact prior of a denoiser that does not know it.
        EvenscoreError: the flow cannot be followed.
    """
    chosen = how or Likelihood()
    numbers = range(len(x)) if indices is None else indices
    _check(denoiser, x, y)
    if len(numbers) != len(x):
        raise UsageError(f"{len(numbers)} indices were given for {len(x)} samples: give one for each sample")
    if chosen.prior == "exact" and not isinstance(denoiser, KnowsDensity):
        raise UsageError(f"{type(denoiser).__name__} does not know its terminal density: use the prior 'normal'")
    probe = probes(choose(chosen.divergence, x[0].numel() if len(x) else 1), denoiser.shape, seed, numbers)
    with evaluation(denoiser), torch.inference_mode(False), torch.no_grad():
        start = torch.cat([x.double().flatten(1), x.new_zeros(len(x), 1, dtype=torch.float64)], dim=1)
        field = _Flow(denoiser, y.clone(), None if probe is None else probe.to(x.device), "density")
        process = denoiser.process
        size = start.shape[1] - 1
        end = solve(field, start, *_levels(process), chosen.tolerance, (size, 1))
        return _log_prior(denoiser, end[:, :-1].reshape(x.shape), y, chosen.prior) + size * end[:, -1]


def encode(denoiser: Denoiser, x: Tensor, y: Tensor, *, tolerance: float = LATENT_TOLERANCE) -> Tensor:
    """The latents at ``t_max`` (B, *shape), float64, that the flow assigns to samples ``x`` with labels ``y``.

    Raises:
        UsageError: shapes, labels or a tolerance that do not fit.
        EvenscoreError: the flow cannot be followed.
    """
    return _transport(denoiser, x, y, _levels(denoiser.process), tolerance)


def decode(denoiser: Denoiser, z: Tensor, y: Tensor, *, tolerance: float = LATENT_TOLERANCE) -> Tensor:
    """The samples at ``t_min`` (B, *shape), float64, of latents ``z`` with labels ``y``: the inverse of :func:`encode`.

    Raises:
        UsageError: shapes, labels or a tolerance that do not fit.
        EvenscoreError: the flow cannot be followed.
    """
    first, last = _levels(denoiser.process)
    return _transport(denoiser, z, y, (last, first), tolerance)


def _levels(process: Process) -> tuple[float, float]:
    """Log SNR at ``t_min`` and at ``t_max``."""
    ends = process.log_snr(torch.tensor([process.t_min, process.t_max], dtype=torch.float64))
    return float(ends[0]), float(ends[1])


def _transport(denoiser: Denoiser, x: Tensor, y: Tensor, levels: tuple[float, float], tolerance: float) -> Tensor:
    _check_tolerance(tolerance)
    _check(denoiser, x, y)
    with evaluation(denoiser), torch.inference_mode(False), torch.no_grad():
        state = x.double().flatten(1).clone()
        end = solve(_Flow(denoiser, y.clone(), None, "path"), state, *levels, tolerance, (state.shape[1],))
    return end.reshape(x.shape)


class _Flow:
    """The right side of the ODE; ``kind`` is ``path`` (of x alone) or ``density`` (with div v / D as last column)."""

    def __init__(self, denoiser: Denoiser, y: Tensor, probe: Tensor | None, kind: str) -> None:
        self.denoiser, self.y, self.probe, self.kind = denoiser, y, probe, kind
        tensors = chain(denoiser.parameters(), denoiser.buffers())
        self.dtype = next((v.dtype for v in tensors if v.is_floating_point()), torch.float64)

    def __call__(self, state: Tensor, level: Tensor, rows: Tensor) -> Tensor:
        process, size = self.denoiser.process, torch.Size(self.denoiser.shape).numel()
        t = process.time(level).clamp(process.t_min, process.t_max)
        pace = -1 / process.log_snr_rate(t)[:, None]
        x = state[:, :size].reshape(-1, *self.denoiser.shape).to(self.dtype).detach()
        if self.kind == "path":
            with torch.no_grad():
                return pace * self._velocity(x, t, rows).flatten(1)
        with torch.enable_grad():
            x.requires_grad_()
            v = self._velocity(x, t, rows)
            spread = divergence(v, x, None if self.probe is None else self.probe[rows])
        return pace * torch.cat([v.detach().flatten(1), spread.double()[:, None] / size], dim=1)

    def _velocity(self, x: Tensor, t: Tensor, rows: Tensor) -> Tensor:
        prediction = self.denoiser.predict(x, t.to(self.dtype), self.y[rows])
        return self.denoiser.process.velocity(prediction.x0.double(), prediction.eps.double(), t)


def _log_prior(denoiser: Denoiser, z: Tensor, y: Tensor, prior: str) -> Tensor:
    """Log-density (B,) of latents ``z`` at ``t_max``."""
    last = torch.full((len(z),), denoiser.process.t_max, dtype=torch.float64, device=z.device)
    if prior == "exact":
        assert isinstance(denoiser, KnowsDensity)
        return denoiser.log_density(z, last, y)
    sigma = denoiser.process.sigma(last)[:, None]
    return -((z.flatten(1) / sigma).square() / 2 + sigma.log() + math.log(2 * math.pi) / 2).sum(1)


def _check(denoiser: Denoiser, x: Tensor, y: Tensor) -> None:
    if tuple(x.shape[1:]) != denoiser.shape:
        raise UsageError(
            f"samples of shape {tuple(x.shape[1:])} were given to a model of {denoiser.shape}: give that shape"
        )
    if y.shape != (len(x),):
        raise UsageError(f"labels of shape {tuple(y.shape)} were given for {len(x)} samples: give one for each sample")
    if len(y) and not 0 <= int(y.min()) <= int(y.max()) <= denoiser.num_classes:
        raise UsageError(
            f"a label lies outside 0 .. {denoiser.num_classes}: give classes of the model, or its null label"
        )


def _check_tolerance(tolerance: float) -> None:
    if not 0 < tolerance <= LARGEST_TOLERANCE:
        raise UsageError(f"tolerance is {tolerance:g}: give a number above 0 and at most {LARGEST_TOLERANCE:g}")
