"""Second moments of the last layer's game on real data, gathered in one pass of constant memory.

With the trunk fixed, a preconditioned denoiser's raw output is ``A_k phi`` for a row of trunk features ``phi`` (one for each
position, with a 1 behind it), and the denoising loss of weighting ``edm`` is plain least squares on it
(:meth:`~evenscore.denoisers.preconditioned.Preconditioned.raw_target`):

    loss_k = mean |A_k phi - F*|^2,    F* = (sigma (x0 - m) / d - alpha d eps) / s.

Two noise predictions at one input differ by ``(alpha d / s)`` times their raw outputs' difference. So a coupling with weight
``u(log SNR)`` on noise predictions has the weight ``omega = u (alpha d / s)^2`` on raw outputs (d the mean over channels).

All players read the features that the trunk computes for the row's own label: that is the strategy class. Positions that hold
padding are left out.

Law: sums are kept by class and fold, in float64, so that any fold can be left out afterwards, whatever the number of samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from evenscore.denoisers.preconditioned import Preconditioned
from evenscore.games.moments import Moments
from evenscore.networks.heads import Trunk, feature_rows, target_rows, trunk_of
from evenscore.objectives.time_weight import TIME_WEIGHTS
from evenscore.process import Process

ENTRIES = 20_000_000
"""Numbers in the rows of features of one product."""
GRID = 257
"""Times at which the largest coupling weight is looked for."""


@dataclass(frozen=True)
class HeadRows:
    """Rows of the last layer's game.

    Attributes:
        features: (N, F), float64.
        target: (N, D) F*, float64.
        omega: (N,) weight of the coupling, float64.
    """

    features: Tensor
    target: Tensor
    omega: Tensor


@torch.no_grad()
def head_rows(
    denoiser: Preconditioned, x0: Tensor, y: Tensor, t: Tensor, eps: Tensor, time_weight: str = "reference"
) -> HeadRows:
    """Rows of samples ``x0`` (B, ...) with labels ``y`` (B,), noised at times ``t`` (B,) with noise ``eps`` (B, ...).

    Raises:
        UsageError: the network has no trunk that all labels share.
    """
    trunk = trunk_of(denoiser.backbone)
    x_t = denoiser.process.perturb(x0, t, eps)
    seen, level = denoiser.seen(x_t, t)
    phi = feature_rows(trunk, trunk.features(seen, level, y)).flatten(0, 1)
    target = target_rows(trunk, denoiser.raw_target(x0, t, eps))
    positions = target.shape[1]
    omega = coupling_weight(denoiser, t, time_weight).repeat_interleave(positions)
    target = target.flatten(0, 1)
    whole = target.isfinite().all(1)
    return HeadRows(phi[whole].double(), target[whole].double(), omega[whole].double())


def coupling_weight(denoiser: Preconditioned, t: Tensor, time_weight: str) -> Tensor:
    """omega (B,) of the module's law."""
    process: Process = denoiser.process
    alpha, sigma, std = process.alpha(t), process.sigma(t), denoiser.std.mean()
    share = (alpha * std).square() / ((alpha * std).square() + sigma.square())
    return TIME_WEIGHTS[time_weight](process.log_snr(t)) * share


def stiffness(denoiser: Preconditioned, time_weight: str) -> float:
    """The largest omega over times; the data term has weight 1 everywhere."""
    process = denoiser.process
    t = torch.linspace(process.t_min, process.t_max, GRID).to(denoiser.std)
    return float(coupling_weight(denoiser, t, time_weight).max())


def rows_at_once(trunk: Trunk, positions: int) -> int:
    """Samples whose rows fit one product, from 1 to 256."""
    layer = trunk.outward
    weight = cast(Tensor, layer.weight)
    return max(1, min(256, ENTRIES // ((weight[0].numel() + 1) * positions)))


@dataclass(frozen=True)
class HeadSums:
    """Sums over rows by class and fold, float64, on the CPU; :meth:`add` changes them in place.

    Attributes:
        rows: (K, S) rows.
        data: (K, S, F, F) of features.
        target: (K, S, D, F) of targets with features.
        constant: (K, S) of targets with themselves.
        own: (K, S, F, F) of features under omega.
    """

    rows: Tensor
    data: Tensor
    target: Tensor
    constant: Tensor
    own: Tensor

    @classmethod
    def empty(cls, classes: int, folds: int, outputs: int, features: int) -> HeadSums:
        """Sums of no rows."""

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(classes, folds, *shape, dtype=torch.float64)

        square = (features, features)
        return cls(zeros(), zeros(*square), zeros(outputs, features), zeros(), zeros(*square))

    @property
    def classes(self) -> int:
        """K."""
        return len(self.rows)

    @property
    def outputs(self) -> int:
        """D."""
        return self.target.shape[2]

    def add(self, k: int, fold: int, rows: HeadRows) -> None:
        """Take in rows of class k that belong to a fold."""
        phi = rows.features
        self.rows[k, fold] += len(phi)
        self.data[k, fold] += (phi.T @ phi).cpu()
        self.target[k, fold] += (rows.target.T @ phi).cpu()
        self.constant[k, fold] += rows.target.square().sum().cpu()
        self.own[k, fold] += ((rows.omega[:, None] * phi).T @ phi).cpu()

    def moments(self, counts: tuple[int, ...], stiff: float, without: int | None = None) -> Moments:
        """Means over the rows of each class, all players sharing its features.

        Args:
            counts: samples of each class that stand behind the rows.
            stiff: see :func:`stiffness`.
            without: a fold to leave out; a class that lies in it whole keeps its rows.
        """
        kept = torch.ones_like(self.rows)
        if without is not None:
            kept[:, without] = 0
            kept[(self.rows * kept).sum(1) == 0] = 1
        share = kept / (kept * self.rows).sum(1, keepdim=True)

        def mean(sums: Tensor) -> Tensor:
            return torch.einsum("ks,ks...->k...", share, sums)

        own = mean(self.own)
        cross = own[:, None].expand(-1, len(own), -1, -1)
        return Moments(counts, mean(self.data), mean(self.target), mean(self.constant), own, cross, cross, stiff)

    def losses(self, profile: Tensor, fold: int | None = None) -> Tensor:
        """(K,) denoising loss, a mean over rows and outputs, of each class's head; nan for a class without rows.

        Args:
            profile: (K, D, F).
            fold: rows of this fold only.
        """
        part = slice(None) if fold is None else slice(fold, fold + 1)
        data, target = self.data[:, part].sum(1), self.target[:, part].sum(1)
        square = ((profile @ data) * profile).sum((1, 2)) - 2 * (profile * target).sum((1, 2))
        return (square + self.constant[:, part].sum(1)) / (self.rows[:, part].sum(1) * self.outputs)
