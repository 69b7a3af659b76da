"""The Nash equilibrium of the quadratic game in closed form, and how stable the way to it is.

Law: without an active norm bound all best responses together are one linear system: for each coordinate

    H_k a_k - sum_j beta_k Q_kj X_kj a_j = T_k + mu_k A0_k

of K F unknowns. Its solution has gap 0, up to rounding; it is the limit of iterated best responses where these converge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from evenscore.errors import EvenscoreError
from evenscore.games.quadratic import QuadraticGame

UNSTABLE = 5.0
"""Stability number above which iterations may diverge, and a person is told."""


@dataclass(frozen=True)
class Equilibrium:
    """A solved game.

    Attributes:
        profile: (K, D, F) strategies.
        gaps: (K,) exact Nash gaps, what rounding left of 0.
        relative_gap: the largest of them over the largest loss of the zero profile.
        stability: the stability number c of the game.
        method: ``linear`` (one system) or ``best responses`` (iterated, where the norm bound is active).
        warning: a sentence when the game is not stable, else empty.
    """

    profile: Tensor
    gaps: Tensor
    relative_gap: float
    stability: float
    method: str
    warning: str


def equilibrium(game: QuadraticGame, rounds: int = 2000, tolerance: float = 1e-12) -> Equilibrium:
    """Solve the game.

    Args:
        game: what is solved.
        rounds: best-response rounds at most, where the norm bound is active.
        tolerance: relative gap at which these end.

    Raises:
        EvenscoreError: the norm bound is active and iterated best responses do not settle.
    """
    profile, method = _linear(game), "linear"
    if float(profile.flatten(1).norm(dim=1).max()) > game.radius:
        profile, method = _iterate(game, profile, rounds, tolerance), "best responses"
    c = game.stability
    warning = (
        ""
        if c <= UNSTABLE
        else (
            f"the stability number is {c:.3g}, above {UNSTABLE:g}: iterated play may diverge, choose a smaller strength"
        )
    )
    return Equilibrium(profile, game.gaps(profile), game.relative_gap(profile), c, method, warning)


def system(game: QuadraticGame) -> Tensor:
    """The matrix (K F, K F) of the linear system; block-diagonal at beta 0."""
    k, f = game.moments.players, game.moments.count
    blocks = -game.weights[:, :, None, None] * game.moments.cross
    blocks = blocks + torch.diag_embed(game.hessians().permute(1, 2, 0)).permute(2, 3, 0, 1)
    return blocks.permute(0, 2, 1, 3).reshape(k * f, k * f)


def _linear(game: QuadraticGame) -> Tensor:
    k, f = game.moments.players, game.moments.count
    matrix = system(game)
    aim = (game.moments.target + game.ridge[:, None, None] * game.centre).permute(0, 2, 1).reshape(k * f, -1)
    scale = game.hessians().diagonal(dim1=-2, dim2=-1).flatten().rsqrt()[:, None]
    factors = torch.linalg.lu_factor(scale * matrix * scale.T)
    found = torch.zeros_like(aim)
    for _ in range(3):
        found = found + scale * torch.linalg.lu_solve(*factors, scale * (aim - matrix @ found))
    profile: Tensor = found.reshape(k, f, -1).permute(0, 2, 1).contiguous()
    return profile


def _iterate(game: QuadraticGame, start: Tensor, rounds: int, tolerance: float) -> Tensor:
    """Gauss-Seidel rounds of best responses from the projected linear solution."""
    norms = start.flatten(1).norm(dim=1).clamp_min(1e-300)
    profile: Tensor = start * (game.radius / norms).clamp_max(1)[:, None, None]
    for _ in range(rounds):
        for k in range(game.moments.players):
            profile[k] = game.best_response(profile)[k]
        if game.relative_gap(profile) <= tolerance:
            return profile
    raise EvenscoreError(
        f"best responses within the norm bound {game.radius:g} did not settle in {rounds} rounds (relative gap "
        f"{game.relative_gap(profile):.2g}): choose a smaller strength or a larger bound"
    )


def response_matrix(game: QuadraticGame) -> Tensor:
    """(K F, K F): how simultaneous best responses move with the profile before them."""
    k, f = game.moments.players, game.moments.count
    moved = torch.linalg.solve(game.hessians()[:, None], game.moments.cross)
    matrix: Tensor = (game.weights[:, :, None, None] * moved).permute(0, 2, 1, 3).reshape(k * f, k * f)
    return matrix


def radius(game: QuadraticGame, play: str = "simultaneous") -> float:
    """Spectral radius of iterated best responses; below 1 they converge.

    Args:
        game: the game.
        play: ``simultaneous`` (Jacobi) or ``alternating`` (Gauss-Seidel, players in order).
    """
    matrix = response_matrix(game)
    if play == "alternating":
        f = game.moments.count
        block = torch.arange(len(matrix)) // f
        lower = matrix * (block[:, None] > block)
        matrix = torch.linalg.solve(torch.eye(len(matrix), dtype=torch.float64) - lower, matrix - lower)
    return float(torch.linalg.eigvals(matrix).abs().max()) if math.isfinite(float(matrix.abs().max())) else math.inf
