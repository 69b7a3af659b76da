"""Equilibrium heads: the last layers of a trained network as strategies of the classes, solved in closed form.

The trunk is fixed, so the players' losses are the quadratics of :class:`~evenscore.games.quadratic.QuadraticGame` on the
moments of :mod:`evenscore.games.head_moments`. Player k's ridge pulls to the trained last layer, the more the fewer samples
it has, and in the metric of what heads do to typical inputs: with G the mean of all classes' feature moments,

    L_k(A) = 1/2 mean |A_k phi - F*|^2 + beta_k / 2 sum_j Q_kj mean omega |(A_k - A_j) phi|^2 + k0 / (2 n_k) |A_k - A0_k|_G^2.

So ``k0`` counts samples: the prior is worth k0 samples, drawn from all classes alike, on which the trained layer is right.
(``metric="plain"`` uses the identity times the mean curvature of the player's data instead of G.)

k0 is chosen by the loss on samples that were left out: folds of the training samples, one shared value, every class counting
alike. The trunk has seen these samples, and so has the trained head to which the new ones are compared: where it wins, it is
kept (:attr:`Heads.helps`).

Laws: k0 to infinity gives the trained head; one player at k0 0 solves least squares; the profile's gap is 0 up to rounding.
Losses and gaps are reported in units of the denoising loss (mean over outputs), that is times ``2 / D``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from evenscore.errors import EvenscoreError
from evenscore.games.coupling import by_count
from evenscore.games.equilibrium import UNSTABLE, equilibrium
from evenscore.games.head_moments import HeadSums
from evenscore.games.moments import Moments
from evenscore.games.quadratic import QuadraticGame
from evenscore.objectives.time_weight import TIME_WEIGHTS
from evenscore.records import check, check_name

LAWS = ("uniform", "train", "similarity")
METRICS = ("pooled", "plain")
LINEAR = 4000
"""Unknowns up to which the joint linear system is solved where iterated best responses do not settle."""
ROUNDS = 300
FLOOR = 1e-8
"""Ridge that is always there, and the share of the mean curvature added to the pooled metric."""
KEEP = math.inf
"""The k0 under which the trained head's score stands."""
GRID = (0.1, 1.0, 10.0, 100.0, 1000.0, 10_000.0)


@dataclass(frozen=True)
class HeadSettings:
    """How heads are fitted.

    Attributes:
        k0: samples that the trained head is worth; none to choose it by samples left out.
        beta: strength of the coupling, the same for every class.
        kappa: strength ``kappa / n_k``, added to beta.
        law: who pulls whom: ``uniform``, ``train`` or ``similarity``.
        width: distance at which classes begin to count as far under ``similarity``, in units of that to the nearest class.
        time_weight: weight of the coupling over noise levels, on noise predictions.
        metric: metric of the ridge: ``pooled`` or ``plain``.
        draws: noise draws for each sample, at least.
        rows: noisy samples of each class, at least; small classes get more draws.
        folds: parts of each class that are left out in turn.

    Raises:
        UsageError: an unknown name or a number outside its range.
    """

    k0: float | None = None
    beta: float = 0.0
    kappa: float = 1.0
    law: str = "similarity"
    width: float = 1.0
    time_weight: str = "reference"
    metric: str = "pooled"
    draws: int = 4
    rows: int = 2000
    folds: int = 4

    def __post_init__(self) -> None:
        check_name("law", self.law, LAWS)
        check_name("time_weight", self.time_weight, TIME_WEIGHTS)
        check_name("metric", self.metric, METRICS)
        for key in ("beta", "kappa", "k0"):
            value = getattr(self, key)
            check(key, value, value is None or 0 <= value < math.inf, "at least 0 and finite")
        for key in ("draws", "rows"):
            check(key, getattr(self, key), getattr(self, key) >= 1, "at least 1")
        check("width", self.width, self.width > 0, "above 0")
        check("folds", self.folds, self.folds >= 2, "at least 2")


@dataclass(frozen=True)
class HeadProblem:
    """What heads are fitted to.

    Attributes:
        sums: of the training set, by class and fold.
        trained: (K, D, F) trained last layer of each class, float64.
        counts: n_k.
        law: (K, K) Q.
        stiff: largest weight of the coupling.
    """

    sums: HeadSums
    trained: Tensor
    counts: tuple[int, ...]
    law: Tensor
    stiff: float


@dataclass(frozen=True)
class Heads:
    """Fitted heads.

    Attributes:
        profile: (K, D, F) last layer of each class.
        k0: samples that the trained head is worth in the game.
        helps: whether these heads are to be used: k0 was given, or they lose less on samples left out than the trained head.
        before: (K,) exact Nash gap where everybody plays the trained head, in units of the denoising loss.
        after: (K,) the same for ``profile``.
        held_out: loss of each class on samples left out, under the heads fitted without them; nan with one sample.
        held_out_trained: the same samples under the trained head.
        scores: k0 -> mean over classes of the loss on samples left out, for each k0 that was tried; infinity: the trained head.
        stability: the stability number of the game.
        warning: a sentence when it is too large, else empty.
    """

    profile: Tensor
    k0: float
    helps: bool
    before: Tensor
    after: Tensor
    held_out: Tensor
    held_out_trained: Tensor
    scores: Mapping[float, float]
    stability: float
    warning: str


def fit_heads(problem: HeadProblem, how: HeadSettings, grid: Sequence[float] = GRID) -> Heads:
    """Choose k0 where it is not given, and solve the game.

    Raises:
        EvenscoreError: the coupling is so strong that the game cannot be solved.
    """
    tried = {k0: left_out(problem, how, k0) for k0 in (*(grid if how.k0 is None else (how.k0,)), KEEP)}
    scores = {k0: float(losses.nanmean()) for k0, losses in tried.items()}
    best = min((k0 for k0 in scores if k0 < KEEP), key=lambda k0: (math.isnan(scores[k0]), scores[k0], -k0))
    game, root = game_of(problem, how, best)
    solved = settle(game)
    unit, c = 2 / problem.sums.outputs, game.stability
    warning = f"the stability number is {c:.3g}, above {UNSTABLE:g}: choose a smaller beta or kappa" * (c > UNSTABLE)
    return Heads(
        torch.linalg.solve_triangular(root, solved, upper=False, left=False),
        best,
        how.k0 is not None or scores[best] < scores[KEEP],
        unit * game.gaps(game.centre),
        unit * game.gaps(solved),
        tried[best],
        tried[KEEP],
        scores,
        c,
        warning,
    )


def left_out(problem: HeadProblem, how: HeadSettings, k0: float) -> Tensor:
    """(K,) mean loss over samples of heads fitted without them; nan for a class with fewer than two samples."""
    sums, folds = problem.sums, problem.sums.rows.shape[1]
    total, rows = torch.zeros(sums.classes, dtype=torch.float64), torch.zeros(sums.classes, dtype=torch.float64)
    several = (sums.rows > 0).sum(1) > 1
    for fold in range(folds):
        mine = (sums.rows[:, fold] > 0) & several
        if not bool(mine.any()):
            continue
        profile = problem.trained
        if k0 != KEEP:
            game, root = game_of(problem, how, k0, fold)
            profile = torch.linalg.solve_triangular(root, settle(game), upper=False, left=False)
        loss = sums.losses(profile, fold)
        total[mine] += (loss * sums.rows[:, fold])[mine]
        rows[mine] += sums.rows[mine, fold]
    return total / rows


def game_of(
    problem: HeadProblem, how: HeadSettings, k0: float, without: int | None = None
) -> tuple[QuadraticGame, Tensor]:
    """The game in coordinates ``A root`` in which the metric of the ridge is the identity, and that root (F, F).

    Args:
        problem: what is fitted to.
        how: strengths and metric.
        k0: of the ridge.
        without: a fold to leave out.
    """
    moments = problem.sums.moments(problem.counts, problem.stiff, without)
    counts = torch.tensor(problem.counts, dtype=torch.float64)
    share = k0 / counts
    curvature = moments.data.diagonal(dim1=1, dim2=2).mean(1)
    if how.metric == "plain":
        root, ridge = torch.eye(moments.count, dtype=torch.float64), (share + FLOOR) * curvature
    else:
        pooled = moments.data.mean(0)
        floor = FLOOR * float(pooled.diagonal().mean())
        root = torch.linalg.cholesky(pooled + floor * torch.eye(moments.count, dtype=torch.float64))
        ridge = share + FLOOR
    beta = how.beta + by_count(how.kappa, problem.counts)
    game = QuadraticGame(_moved(moments, root), beta, problem.law, ridge, problem.trained @ root)
    return game, root


def _moved(moments: Moments, root: Tensor) -> Moments:
    """Moments of the features ``root^-1 phi``."""

    def both(gram: Tensor) -> Tensor:
        half = torch.linalg.solve_triangular(root, gram, upper=False)
        found = torch.linalg.solve_triangular(root, half.mT, upper=False)
        symmetric: Tensor = (found + found.mT) / 2
        return symmetric

    own = both(moments.own)
    cross = own[:, None].expand(-1, len(own), -1, -1)
    target = torch.linalg.solve_triangular(root, moments.target.mT, upper=False).mT
    return replace(moments, data=both(moments.data), target=target, own=own, cross=cross, others=cross)


def settle(game: QuadraticGame, tolerance: float = 1e-11) -> Tensor:
    """The equilibrium (K, D, F): by best responses of all players at once, or by the joint system where these do not settle.

    Raises:
        EvenscoreError: they do not, and the game is too large for the joint system.
    """
    profile = game.best_response(game.centre)
    if not bool(game.weights.any()):
        return profile
    factors = torch.linalg.cholesky(game.hessians())
    for _ in range(ROUNDS):
        before, profile = profile, torch.cholesky_solve(game.aims(profile).mT, factors).mT
        if float((profile - before).abs().max()) <= tolerance * float(profile.abs().max()):
            return profile
    if game.moments.players * game.moments.count <= LINEAR:
        return equilibrium(game).profile
    raise EvenscoreError(
        f"best responses did not settle in {ROUNDS} rounds (stability number {game.stability:.3g}): choose a smaller "
        "beta or kappa"
    )
