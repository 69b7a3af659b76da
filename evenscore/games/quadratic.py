"""The mutual-learning game over frozen features, exactly: losses, gradients, best responses.

Player k chooses ``A_k`` (D, F) with Frobenius norm at most B and pays

    L_k(A) = 1/2 [ <A_k D_k, A_k> - 2 <A_k, T_k> + c_k ]
           + beta_k / 2 sum_j Q_kj [ <A_k E_k, A_k> - 2 <A_k X_kj, A_j> + <A_j F_kj, A_j> ]  +  mu_k / 2 |A_k - A0_k|^2

with the moments of :mod:`evenscore.games.moments`. The factor 1/2 stands before the coupling too, and Q is used as it is
given (``1/K`` for each of the others is the paper's uniform law): these two conventions fix what beta means.

Law: in its own strategy every loss is a convex quadratic, of Hessian ``H_k = D_k + beta_k (sum_j Q_kj) E_k + mu_k I`` for
each coordinate. The coupling is paid on player k's data only, so this is not a potential game.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from evenscore.errors import UsageError
from evenscore.games.moments import Moments


@dataclass(frozen=True)
class QuadraticGame:
    """A game; all tensors float64.

    Attributes:
        moments: second moments of the data.
        beta: (K,) strength of each player's coupling.
        law: (K, K) Q, zero on the diagonal.
        ridge: (K,) mu.
        centre: (K, D, F) A0, the strategy that the ridge pulls to.
        radius: B, infinite for no bound.

    Raises:
        UsageError: shapes that do not fit, a negative strength, law or ridge, a ridge of 0, or a radius not above 0.
    """

    moments: Moments
    beta: Tensor
    law: Tensor
    ridge: Tensor
    centre: Tensor
    radius: float = math.inf

    def __post_init__(self) -> None:
        k = self.moments.players
        for name, shape in (("beta", (k,)), ("law", (k, k)), ("ridge", (k,)), ("centre", self.moments.target.shape)):
            if getattr(self, name).shape != shape:
                raise UsageError(f"{name} has shape {tuple(getattr(self, name).shape)}: give {tuple(shape)}")
        if float(self.beta.min()) < 0 or float(self.law.min()) < 0 or float(self.law.diagonal().abs().max()) > 0:
            raise UsageError("beta and the law must not be negative, nor the law couple a player to itself")
        if not float(self.ridge.min()) > 0:
            raise UsageError(
                "a ridge of 0 was given: features that a class never lights make the game singular, give more"
            )
        if not self.radius > 0:
            raise UsageError(f"radius={self.radius:g} cannot be used: give a number above 0")

    @property
    def weights(self) -> Tensor:
        """(K, K) ``beta_k Q_kj``."""
        return self.beta[:, None] * self.law

    @property
    def stability(self) -> float:
        """``c = max_k beta_k sum_j Q_kj max omega/(lambda sigma)``: iterated best responses contract like ``c / (1 + c)``."""
        return float(self.weights.sum(1).max()) * self.moments.stiffness

    def hessians(self) -> Tensor:
        """``H_k`` (K, F, F)."""
        m = self.moments
        eye = torch.eye(m.count, dtype=torch.float64)
        return m.data + self.weights.sum(1)[:, None, None] * m.own + self.ridge[:, None, None] * eye

    def aims(self, profile: Tensor) -> Tensor:
        """(K, D, F) what ``A_k H_k`` is to equal, given the strategies of the others."""
        pulled = (
            torch.einsum("kj,jdf,kgf->kdg", self.weights, profile, self.moments.cross[:, 0])
            if self._shared
            else (torch.einsum("kj,jdf,kjgf->kdg", self.weights, profile, self.moments.cross))
        )
        return self.moments.target + pulled + self.ridge[:, None, None] * self.centre

    @property
    def _shared(self) -> bool:
        return self.moments.cross.stride(1) == 0

    def gradient(self, profile: Tensor) -> Tensor:
        """(K, D, F): of each player's loss in its own strategy."""
        return profile @ self.hessians() - self.aims(profile)

    def losses(self, profile: Tensor) -> Tensor:
        """(K,) losses, ridge included."""
        m, w = self.moments, self.weights
        own = _square(profile, m.data) - 2 * (profile * m.target).sum((1, 2)) + m.constant
        cross = torch.einsum("kdf,kjfg,jdg->kj", profile, m.cross, profile)
        far = torch.einsum("jdf,kjfg,jdg->kj", profile, m.others, profile)
        coupling = (w * (_square(profile, m.own)[:, None] - 2 * cross + far)).sum(1)
        return (own + coupling + self.ridge * (profile - self.centre).square().sum((1, 2))) / 2

    def best_response(self, profile: Tensor) -> Tensor:
        """(K, D, F): every player's best strategy against the others of ``profile``, exactly, within the ball."""
        free = solve_rows(self.hessians(), self.aims(profile))
        if not math.isfinite(self.radius):
            return free
        return torch.stack(
            [
                a if float(a.norm()) <= self.radius else within_ball(h, r, self.radius)
                for a, h, r in zip(free, self.hessians(), self.aims(profile), strict=True)
            ]
        )

    def gaps(self, profile: Tensor) -> Tensor:
        """(K,) how much each player would gain by its best response: at least 0 within the ball, and 0 at equilibrium.

        The difference of the two losses is ``<G, A - BR> + 1/2 <(A - BR) H, A - BR>`` with G the gradient at BR, which is 0
        inside the ball; computed so, it has no cancellation.
        """
        best = self.best_response(profile)
        away, hessians = profile - best, self.hessians()
        gap = _square(away, hessians) / 2
        if math.isfinite(self.radius):
            active = best.flatten(1).norm(dim=1) >= self.radius * (1 - 1e-9)
            gap = gap + active * ((best @ hessians - self.aims(profile)) * away).sum((1, 2))
        return gap

    def relative_gap(self, profile: Tensor) -> float:
        """The largest gap over the largest loss of the zero profile."""
        return float(self.gaps(profile).max() / self.losses(torch.zeros_like(profile)).max())

    def smoothness(self) -> float:
        """The largest eigenvalue of any player's Hessian."""
        return float(torch.linalg.eigvalsh(self.hessians()).max())

    def without_coupling(self) -> QuadraticGame:
        """The same with beta 0: every player for itself."""
        return replace(self, beta=torch.zeros_like(self.beta))


def _square(a: Tensor, gram: Tensor) -> Tensor:
    """(K,) ``<A_k M_k, A_k>``."""
    power: Tensor = ((a @ gram) * a).sum((1, 2))
    return power


def solve_rows(hessians: Tensor, aims: Tensor) -> Tensor:
    """``A`` with ``A_k H_k = R_k``, by Cholesky factors of the scaled matrices and two refinements."""
    scale = hessians.diagonal(dim1=-2, dim2=-1).rsqrt()
    scaled = hessians * scale[..., :, None] * scale[..., None, :]
    factor = torch.linalg.cholesky(scaled)
    found = torch.zeros_like(aims)
    for _ in range(3):
        rest = (aims - found @ hessians) * scale[..., None, :]
        found = found + torch.cholesky_solve(rest.mT, factor).mT * scale[..., None, :]
    return found


def within_ball(hessian: Tensor, aim: Tensor, radius: float) -> Tensor:
    """The minimiser (D, F) of ``1/2 <A H, A> - <A, R>`` on the sphere ``|A| = radius``, for a free one that lies outside.

    ``A = R (H + nu I)^-1`` with nu from the secular equation ``1/|A(nu)| = 1/radius``, which is nearly linear in nu: Newton's
    method, kept between bounds (More & Sorensen 1983, for one side of the trust-region problem).
    """
    values, axes = torch.linalg.eigh(hessian)
    power = (aim @ axes).square().sum(0)
    low, high = 0.0, float(aim.norm()) / radius
    nu = 0.0
    for _ in range(100):
        shifted = values + nu
        norm = float((power / shifted.square()).sum().sqrt())
        low, high = (nu, high) if norm > radius else (low, nu)
        slope = float((power / shifted**3).sum()) / norm**3
        step = (1 / radius - 1 / norm) / slope
        if abs(norm - radius) <= 1e-14 * radius:
            break
        nu = nu + step if low < nu + step < high else (low + high) / 2
    found: Tensor = ((aim @ axes) / (values + nu)) @ axes.T
    return found.mul_(radius / found.norm())
