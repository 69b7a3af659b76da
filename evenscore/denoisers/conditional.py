"""Exact conditional laws of a Gaussian mixture: the class given a noisy sample, and the mixture given some coordinates.

Laws, for components ``N(mu, S)`` of weight ``w``:

* class: ``log p_t(y | x) = log p_t(x | y) + log p(y) - log p_t(x)``;
* given ``A x = v`` without noise, with orthonormal rows ``A`` and ``G = A S A^T``, the mixture stays one, with

      mu' = mu + S A^T G^-1 (v - A mu)        S' = S - S A^T G^-1 A S        w' = w N(v; A mu, G)

  (each component is conditioned as a Gaussian, and reweighted by how well it explains ``v``); ``A S' A^T = 0``.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from evenscore.denoisers.oracle import GaussianMixture
from evenscore.errors import UsageError

SMALLEST = 1e-300
"""Weights below this share of the largest are held here: a weight must be positive."""


def label_log_probability(mixture: GaussianMixture, x_t: Tensor, t: Tensor, y: Tensor) -> Tensor:
    """``log p_t(y | x_t)`` (B,) in nats, float64, differentiable in ``x_t``; 0 for the null label."""
    null = mixture.null_like(y)
    prior = torch.cat([_log_prior(mixture), mixture.log_weights.new_zeros(1)])
    return mixture.log_density(x_t, t, y) + prior[y] - mixture.log_density(x_t, t, null)


def given(mixture: GaussianMixture, rows: Tensor, values: Tensor) -> GaussianMixture:
    """The mixture conditioned on ``rows @ x = values``, without noise.

    Args:
        mixture: over samples of D numbers.
        rows: (k, D) orthonormal rows.
        values: (k,).

    Raises:
        UsageError: shapes that do not fit, or a component in which an observed coordinate has no spread.
    """
    size = mixture.means.shape[1]
    if rows.ndim != 2 or rows.shape[1] != size or values.shape != rows.shape[:1]:
        raise UsageError(
            f"{tuple(rows.shape)} rows and {tuple(values.shape)} values do not observe {size} numbers: "
            f"give (k, {size}) and (k,)"
        )
    a, v = rows.to(mixture.means), values.to(mixture.means)
    spread = _covariances(mixture)
    gram = a @ spread @ a.T
    root, failed = torch.linalg.cholesky_ex(gram)
    if bool(failed.any()):
        raise UsageError("an observed coordinate has no spread in a component: leave that coordinate out")
    gain = torch.cholesky_solve(a @ spread, root).mT
    rest = v - mixture.means @ a.T
    means = mixture.means + (gain @ rest[..., None]).squeeze(-1)
    left = spread - gain @ a @ spread
    white = torch.linalg.solve_triangular(root, rest[..., None], upper=False).squeeze(-1)
    log_det = 2 * root.diagonal(dim1=1, dim2=2).log().sum(1)
    log_fit = -0.5 * (white.square().sum(1) + log_det + len(v) * math.log(2 * math.pi))
    return _reweighted(mixture, means, (left + left.mT) / 2, log_fit)


def _reweighted(mixture: GaussianMixture, means: Tensor, covariances: Tensor, log_fit: Tensor) -> GaussianMixture:
    """A mixture of the same classes whose components are reweighted by ``exp(log_fit)``."""
    table = mixture.log_weights[: mixture.num_classes]
    evidence = (table + log_fit).logsumexp(1)
    classes = table.isfinite().double().argmax(0)
    within = table.gather(0, classes[None]).squeeze(0) + log_fit - evidence[classes]
    across = _log_prior(mixture) + evidence
    return GaussianMixture(
        mixture.process,
        means.reshape(-1, *mixture.shape),
        covariances,
        classes,
        within.exp().clamp_min(SMALLEST),
        (across - across.max()).exp().clamp_min(SMALLEST),
    )


def _log_prior(mixture: GaussianMixture) -> Tensor:
    """(K,) log weight of each class under the null label."""
    member = mixture.log_weights[: mixture.num_classes].isfinite()
    mixed = mixture.log_weights[mixture.num_classes].expand(member.shape)
    return mixed.masked_fill(~member, -math.inf).logsumexp(1)


def _covariances(mixture: GaussianMixture) -> Tensor:
    """(M, D, D)."""
    if mixture.axes is None:
        return torch.diag_embed(mixture.variances)
    return torch.einsum("mde,me,mfe->mdf", mixture.axes, mixture.variances, mixture.axes)
