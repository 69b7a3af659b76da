"""The discretised empirical loss of the mutual-learning game as second moments of features.

Das et al. 2025, section 3, with ``sb = sigma(t)``, times ``t_j`` in the process's own unit (its horizon T), ``Delta_j = t_j -
t_{j-1}``, and the average over a class's samples and the noise drawn for them (the formula is rebuilt from the paper's
lemmas, see docs/game.md):

    L_y = 1/2 sum_j Delta_j mean { lambda_j / sb_j |sb_j s_y + xi|^2 + beta_y omega_j sum_{y' != y} Q_yy' |s_y - s_y'|^2 }

Law: with ``s_y = A_y phi_y`` every term is quadratic in the strategies, so these moments say all about the loss; they are
computed once, in parts, whatever the strengths. Noise is jittered within strata over the rows of a class at each time,
coordinate by coordinate: fixed nodes would be learned by heart at high noise, where all samples look alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from evenscore.errors import UsageError, unknown
from evenscore.process import OU


class Weight(Protocol):
    """A weight over the game's time ``s`` in [0, T]: ``weight(s, sigma(s), T)``."""

    def __call__(self, s: Tensor, sigma: Tensor, horizon: float) -> Tensor: ...


DATA_WEIGHTS: Mapping[str, Weight] = {
    "sigma": lambda s, sigma, horizon: sigma,
    "sigma-squared": lambda s, sigma, horizon: sigma.square(),
}
"""``lambda``: ``sigma`` is the paper's, which makes the data term the plain noise-prediction loss."""
COUPLING_WEIGHTS: Mapping[str, Weight] = {
    "exp": lambda s, sigma, horizon: s.exp(),
    "vanishing": lambda s, sigma, horizon: sigma.square() * s.expm1(),
    "linear": lambda s, sigma, horizon: sigma.square() * s / horizon,
}
"""``omega``: ``exp`` is the paper's, strong at low noise too; the two others vanish there, ``linear`` being CBDM's ``t/T``."""
CHUNK = 40_000
"""Rows whose features are held at once, times players."""


@dataclass(frozen=True)
class Grid:
    """Times of the loss and of the sampler, in the process's own unit.

    Attributes:
        horizon: T, where noise is nearly all.
        stop: alpha of the paper, the smallest time (early stopping).
        kappa: largest step relative to ``min(1, time)``: constant steps down to 1, then geometric ones (section 4).

    Raises:
        UsageError: an order of the three that makes no grid.
    """

    horizon: float = 4.0
    stop: float = 0.02
    kappa: float = 0.25

    def __post_init__(self) -> None:
        if not (0 < self.stop < self.horizon < math.inf and 0 < self.kappa < 10):
            raise UsageError(
                f"a grid from {self.stop:g} to {self.horizon:g} with kappa {self.kappa:g} cannot be used: "
                "give 0 < stop < horizon and kappa above 0"
            )

    @property
    def process(self) -> OU:
        """The paper's process with this horizon."""
        return OU(self.horizon)

    def times(self) -> Tensor:
        """(J,) rising from ``stop`` to ``horizon``, float64."""
        found = [self.stop]
        while found[-1] < self.horizon * (1 - 1e-12):
            found.append(min(self.horizon, found[-1] + self.kappa * min(1.0, found[-1])))
        return torch.tensor(found, dtype=torch.float64)


@dataclass(frozen=True)
class LossWeights:
    """How the loss weighs times, and how much noise is drawn.

    Attributes:
        data: name of lambda in :data:`DATA_WEIGHTS`.
        coupling: name of omega in :data:`COUPLING_WEIGHTS`.
        rows: noisy rows of a class at each time, at least; every sample has the same number of them.

    Raises:
        UsageError: an unknown name or fewer than one row.
    """

    data: str = "sigma"
    coupling: str = "exp"
    rows: int = 256

    def __post_init__(self) -> None:
        if self.data not in DATA_WEIGHTS:
            raise unknown("data weight", self.data, DATA_WEIGHTS)
        if self.coupling not in COUPLING_WEIGHTS:
            raise unknown("coupling weight", self.coupling, COUPLING_WEIGHTS)
        if self.rows < 1:
            raise UsageError(f"rows={self.rows} cannot be used: give at least 1")

    def at(self, times: Tensor, process: OU) -> tuple[Tensor, Tensor]:
        """``lambda`` and ``omega`` (J,) at times in the process's own unit."""
        sigma = process.sigma(times / process.horizon)
        return (
            DATA_WEIGHTS[self.data](times, sigma, process.horizon),
            COUPLING_WEIGHTS[self.coupling](times, sigma, process.horizon),
        )


class Features(Protocol):
    """Features (P, B, F) of samples (B, D) at times (B,) in [0, 1], for some players; P is 1 when they are shared."""

    @property
    def players(self) -> int: ...

    @property
    def size(self) -> int: ...

    @property
    def count(self) -> int: ...

    @property
    def shared(self) -> bool: ...

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Moments:
    """Second moments of K players with F features and D coordinates, float64; row k is an average over player k's own data.

    Attributes:
        counts: n_k, samples of each player.
        data: (K, F, F) of its own features under the data weight.
        target: (K, D, F) of the target with its own features.
        constant: (K,) of the target with itself.
        own: (K, F, F) of its own features under the coupling weight.
        cross: (K, K, F, F) of its own features with those of player j, under the coupling weight.
        others: (K, K, F, F) of the features of player j with themselves, under the coupling weight.
        stiffness: ``max omega / (lambda sigma)`` over times, the part of the stability number that comes from weights.
    """

    counts: tuple[int, ...]
    data: Tensor
    target: Tensor
    constant: Tensor
    own: Tensor
    cross: Tensor
    others: Tensor
    stiffness: float

    @property
    def players(self) -> int:
        """K."""
        return len(self.counts)

    @property
    def count(self) -> int:
        """F."""
        return self.data.shape[-1]


def gather(
    samples: Sequence[Tensor], features: Features, grid: Grid, weights: LossWeights, generator: torch.Generator
) -> Moments:
    """The moments of a data set.

    Args:
        samples: for each player, its (n_k, D) clean samples.
        features: of every player.
        grid: times of the loss.
        weights: over the times.
        generator: draws the noise.

    Raises:
        UsageError: a player without samples, or a number of players or coordinates that does not fit the features.
    """
    _check(samples, features)
    times = grid.times()
    steps = torch.diff(times, prepend=torch.zeros(1, dtype=torch.float64))
    data, omega = weights.at(times, grid.process)
    sigma = grid.process.sigma(times / grid.horizon)
    parts = []
    for k, x0 in enumerate(samples):
        noisy = _noised(x0.double(), times, grid, weights.rows, generator)
        rows = len(noisy.x) // len(times)
        each = torch.arange(len(times)).repeat_interleave(rows)
        factors = ((steps * data * sigma)[each] / rows, (-steps * data)[each] / rows, (steps * omega)[each] / rows)
        constant = float(((steps * data / sigma)[each] / rows * noisy.xi.square().sum(1)).sum())
        parts.append((*_sums(features, k, noisy, factors), constant))
    grams, targets, crosses, others, constants = zip(*parts, strict=True)
    cross = _spread(torch.stack(crosses), features.players)
    return Moments(
        tuple(len(x) for x in samples),
        torch.stack(grams),
        torch.stack(targets),
        torch.tensor(constants, dtype=torch.float64),
        torch.stack([cross[k, k] for k in range(features.players)]),
        cross,
        _spread(torch.stack(others), features.players),
        float((omega / (data * sigma)).max()),
    )


def _spread(found: Tensor, players: int) -> Tensor:
    """(K, P, F, F) as (K, K, F, F): where features are shared, every opponent has the same ones."""
    return found.expand(-1, players, -1, -1)


@dataclass(frozen=True)
class _Noisy:
    x: Tensor
    t: Tensor
    xi: Tensor


def _noised(x0: Tensor, times: Tensor, grid: Grid, rows: int, generator: torch.Generator) -> _Noisy:
    """Every sample the same number of times at each time, with stratified noise."""
    repeats = max(1, -(-rows // len(x0)))
    clean = x0.repeat(repeats, 1)
    shape = (len(times), len(clean), x0.shape[1])
    order = torch.rand(shape, generator=generator).argsort(1)
    jitter = torch.rand(shape, generator=generator, dtype=torch.float64)
    xi = torch.special.ndtri(((order + jitter) / len(clean)).clamp(1e-12, 1 - 1e-12))
    t = (times / grid.horizon)[:, None].expand(-1, len(clean))
    x = grid.process.alpha(t)[..., None] * clean + grid.process.sigma(t)[..., None] * xi
    return _Noisy(x.flatten(0, 1), t.flatten(), xi.flatten(0, 1))


def _sums(
    features: Features, k: int, noisy: _Noisy, factors: tuple[Tensor, Tensor, Tensor]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gram (F, F), target (D, F), cross (P, F, F) and others (P, F, F) of player k's rows, a part at a time."""
    shared, size = features.shared, features.count
    opponents = 1 if shared else features.players
    gram, target = (torch.zeros(n, size, dtype=torch.float64) for n in (size, features.size))
    cross, others = (torch.zeros(opponents, size, size, dtype=torch.float64) for _ in range(2))
    for start in range(0, len(noisy.x), max(1, CHUNK // opponents)):
        part = slice(start, start + max(1, CHUNK // opponents))
        phi = features(noisy.x[part], noisy.t[part])
        mine = phi[0 if shared else k]
        data, aim, coupling = (factor[part, None] for factor in factors)
        gram += (data * mine).T @ mine
        target += (aim * noisy.xi[part]).T @ mine
        weighted = coupling * mine
        cross += weighted.T @ phi
        if not shared:
            others += (coupling * phi).mT @ phi
    return gram, target, cross, cross if shared else others


def _check(samples: Sequence[Tensor], features: Features) -> None:
    if len(samples) != features.players:
        raise UsageError(
            f"samples of {len(samples)} classes were given to {features.players} players: give one for each"
        )
    for k, x in enumerate(samples):
        if x.ndim != 2 or x.shape[1] != features.size or len(x) == 0:
            raise UsageError(
                f"player {k} was given samples of shape {tuple(x.shape)}: give (n, {features.size}) with n of at least 1"
            )
