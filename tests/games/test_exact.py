"""The exact game: best responses, gaps, the norm bound, the solved equilibrium, beta 0, and one player's own gradient."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from benchmarks.games import ball, random_game, random_profile
from benchmarks.nash_cases import problem_of, two_gaussians
from benchmarks.nash_exact import BOUND, checks
from evenscore.errors import UsageError
from evenscore.games import Descent, Mutual, Ridge, descend, equilibrium, radius
from evenscore.games.descent import PLAYS


@pytest.mark.parametrize("seed", range(6))
def test_every_check_holds_on_random_games(seed: int) -> None:
    for name, value in checks(1000 + seed).items():
        assert value <= BOUND[name], name


@pytest.mark.parametrize("seed", range(4))
def test_the_gradient_is_that_of_the_loss_and_of_ones_own_strategy_only(seed: int) -> None:
    game = random_game(seed)
    profile = random_profile(game, seed).requires_grad_()
    losses = game.losses(profile)
    for k in range(len(profile)):
        (own,) = torch.autograd.grad(losses[k], profile, retain_graph=True)
        torch.testing.assert_close(own[k], game.gradient(profile.detach())[k], rtol=1e-9, atol=1e-9)


def test_without_coupling_a_player_is_what_it_is_alone() -> None:
    game = random_game(3).without_coupling()
    solved = equilibrium(game).profile
    torch.testing.assert_close(solved, game.best_response(torch.zeros_like(solved)), rtol=1e-8, atol=1e-10)


def test_a_simultaneous_step_reads_the_old_profile_and_an_alternating_one_does_not() -> None:
    game = random_game(1, beta=1.0)
    start = random_profile(game, 1)
    rate = 1 / game.smoothness()
    jacobi = start - rate * (start @ game.hessians() - game.aims(start))
    once = {play: descend(game, Descent(1, play, record=1), start) for play in ("simultaneous", "alternating")}
    assert once["simultaneous"].steps == (0, 1)
    torch.testing.assert_close(once["simultaneous"].gaps[1], float(game.gaps(jacobi).max()), rtol=1e-12, atol=0.0)
    assert once["alternating"].gaps[1] != once["simultaneous"].gaps[1]


@pytest.mark.parametrize("play", PLAYS)
def test_divergence_is_found_and_said(play: str) -> None:
    """Every loss is convex in its player's own strategy, and still play diverges where far classes are coupled strongly."""
    problem = problem_of(two_gaussians(8.0), 0, sharing="independent")
    game = Mutual(beta=1000.0, ridge=Ridge(fixed=1e-6, k0=0)).game(problem, problem.plain[1])
    assert radius(game) > 1
    played = descend(game, Descent(1000, play))
    assert played.diverged is not None
    assert "diverged by step" in played.verdict
    assert played.gap <= played.gaps[0]


def test_an_unstable_game_is_warned_of() -> None:
    assert "above 5" in equilibrium(random_game(0, beta=1e4)).warning
    assert equilibrium(random_game(0, beta=1e-3)).warning == ""


@pytest.mark.parametrize("seed", range(3))
def test_the_bounded_equilibrium_keeps_the_bound_and_has_no_gap(seed: int) -> None:
    game = random_game(seed, beta=0.1)
    bounded = replace(game, radius=ball(game))
    solved = equilibrium(bounded)
    assert solved.method == "best responses"
    assert float(solved.profile.flatten(1).norm(dim=1).max()) <= bounded.radius * (1 + 1e-12)
    assert solved.relative_gap <= 1e-12


@pytest.mark.parametrize(
    "change",
    [{"beta": torch.tensor([-1.0])}, {"radius": 0.0}, {"ridge": "zero"}, {"law": "self"}],
    ids=["shape", "radius", "ridge", "law"],
)
def test_a_game_that_makes_no_sense_is_refused(change: dict[str, object]) -> None:
    game = random_game(0)
    wrong = {
        "zero": {"ridge": torch.zeros_like(game.ridge)},
        "self": {"law": torch.ones_like(game.law)},
    }.get(str(next(iter(change.values()))), change)
    with pytest.raises(UsageError):
        replace(game, **wrong)  # type: ignore[arg-type]
