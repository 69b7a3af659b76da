"""Individual gradient descent: every player follows the gradient of its own loss in its own strategy.

Das et al. 2025, algorithm 1: all players read the old profile (``simultaneous``), and the iterate with the smallest Nash gap
is the result. Beside it ``alternating`` play, where player k reads what players before it have just done, and the
``extragradient`` step (Korpelevich 1976), which looks one step ahead.

Rates: ``paper`` is ``m^2 / (max_y L_y sqrt(steps))`` with the paper's bound ``L_y`` on the smoothness; ``smooth`` is ``1 / L``
with the largest eigenvalue of any player's Hessian, which the bound exceeds some hundred times. The extragradient step
takes half of either, for it looks ahead by a whole step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from evenscore.errors import UsageError
from evenscore.games.quadratic import QuadraticGame
from evenscore.records import check, check_name

PLAYS = ("simultaneous", "alternating", "extragradient")
RATES = ("paper", "smooth")
DIVERGED = 1e3
"""A profile whose gap is so many times that of the start has diverged."""


@dataclass(frozen=True)
class Descent:
    """How the game is played.

    Attributes:
        steps: T_train.
        play: one of :data:`PLAYS`.
        rate: one of :data:`RATES`.
        record: steps at which gap and gradient are kept, as a number of points spread evenly over log steps.

    Raises:
        UsageError: an unknown name or a number below 1.
    """

    steps: int = 10_000
    play: str = "simultaneous"
    rate: str = "smooth"
    record: int = 60

    def __post_init__(self) -> None:
        check_name("play", self.play, PLAYS)
        check_name("rate", self.rate, RATES)
        check("steps", self.steps, self.steps >= 1, "at least 1")
        check("record", self.record, self.record >= 1, "at least 1")


@dataclass(frozen=True)
class Played:
    """How a game went.

    Attributes:
        profile: (K, D, F) the iterate of the smallest gap among those recorded.
        gap: its gap, the largest over players.
        rate: the learning rate that was used.
        steps: (R,) steps at which the two following were recorded, 0 being the start.
        gaps: (R,) exact Nash gap there.
        gradients: (R,) largest norm of a player's gradient there, the paper's practical proxy.
        diverged: the step at which play was stopped because it diverged, or None.
    """

    profile: Tensor
    gap: float
    rate: float
    steps: tuple[int, ...]
    gaps: tuple[float, ...]
    gradients: tuple[float, ...]
    diverged: int | None

    @property
    def verdict(self) -> str:
        """One sentence for people."""
        if self.diverged is None:
            return f"the gap fell from {self.gaps[0]:.3g} to {self.gap:.3g}"
        return (
            f"play diverged by step {self.diverged} at rate {self.rate:.3g}: the best earlier iterate is given, choose a "
            "smaller strength"
        )


def descend(game: QuadraticGame, how: Descent, start: Tensor | None = None, bound: float | None = None) -> Played:
    """Play the game.

    Args:
        game: with any norm bound; iterates are projected on it.
        how: steps, play and rate.
        start: (K, D, F) first profile; None for zeros.
        bound: the paper's smoothness bound ``max_y L_y / m^2`` (see :func:`paper_smoothness`), for rate ``paper``.

    Raises:
        UsageError: rate ``paper`` without its bound.
    """
    first = torch.zeros_like(game.centre) if start is None else start.clone()
    rate = _rate(game, how, bound)
    wanted = _recorded(how)
    best, found = first, math.inf
    steps: list[int] = []
    gaps: list[float] = []
    gradients: list[float] = []
    for step, profile in enumerate(_play(game, how, rate, first)):
        if step not in wanted and step % 100:
            continue
        gap = float(game.gaps(profile).max())
        if gap < found:
            best, found = profile, gap
        if step in wanted:
            steps.append(step)
            gaps.append(gap)
            gradients.append(float(game.gradient(profile).flatten(1).norm(dim=1).max()))
        if not gap <= DIVERGED * gaps[0]:
            return Played(best, found, rate, tuple(steps), tuple(gaps), tuple(gradients), step)
    return Played(best, found, rate, tuple(steps), tuple(gaps), tuple(gradients), None)


def _rate(game: QuadraticGame, how: Descent, bound: float | None) -> float:
    share = 0.5 if how.play == "extragradient" else 1.0
    if how.rate == "smooth":
        return share / game.smoothness()
    if bound is None:
        raise UsageError("rate paper needs the paper's smoothness bound: give it, or choose rate smooth")
    return share / (bound * math.sqrt(how.steps))


def _recorded(how: Descent) -> set[int]:
    if how.record == 1:
        return {0, how.steps}
    points = torch.logspace(0, math.log10(how.steps), how.record, dtype=torch.float64).round().long().tolist()
    return {0, how.steps, *points}


def _play(game: QuadraticGame, how: Descent, rate: float, profile: Tensor) -> Iterator[Tensor]:
    """The start and every profile after it."""
    yield profile
    hessians = game.hessians()
    for _ in range(how.steps):
        if how.play == "simultaneous":
            profile = _project(game, profile - rate * (profile @ hessians - game.aims(profile)))
        elif how.play == "extragradient":
            ahead = _project(game, profile - rate * (profile @ hessians - game.aims(profile)))
            profile = _project(game, profile - rate * (ahead @ hessians - game.aims(ahead)))
        else:
            profile = _in_turn(game, hessians, rate, profile)
        yield profile


def _in_turn(game: QuadraticGame, hessians: Tensor, rate: float, profile: Tensor) -> Tensor:
    """One round of alternating play."""
    profile = profile.clone()
    for k in range(len(profile)):
        profile[k] -= rate * (profile[k] @ hessians[k] - game.aims(profile)[k])
        profile[k] = _project(game, profile[k : k + 1])[0]
    return profile


def _project(game: QuadraticGame, profile: Tensor) -> Tensor:
    """Each strategy scaled into the ball when it lies outside."""
    if not math.isfinite(game.radius):
        return profile
    norms = profile.flatten(1).norm(dim=1).clamp_min(1e-300)
    share: Tensor = (game.radius / norms).clamp_max(1)[:, None, None]
    return profile * share
