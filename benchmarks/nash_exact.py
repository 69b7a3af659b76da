"""What is true of the game exactly, on random games: best responses, gaps, the norm bound, the solved equilibrium, play."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from benchmarks.games import ball, random_game, random_profile
from benchmarks.nash_cases import problem_of, two_gaussians
from benchmarks.runner import Outcome
from evenscore.games import Descent, Mutual, QuadraticGame, Ridge, descend, equilibrium, radius
from evenscore.games.equilibrium import system
from evenscore.games.quadratic import solve_rows, within_ball

SUMMARY = (
    "The mutual-learning game solved exactly: best responses, gaps and equilibria of random games against closed forms"
)
BOUND = {
    "relative gradient at the best response": 1e-12,
    "L-BFGS below the exact minimum": 1e-10,
    "gap identity": 1e-9,
    "active bound: norm": 1e-10,
    "active bound: accelerated gradient below the exact minimum": 1e-10,
    "active bound: the rescaled free solution is not worse": 0,
    "relative gap at the equilibrium, ridge 1e-4": 1e-18,
    "relative gap at the equilibrium, ridge 1e-8": 1e-12,
    "most negative gap": 1e-12,
    "coupling left in the system at beta 0": 0.0,
    "two players: alternating radius against the simultaneous one squared": 1e-6,
    "gap after 10,000 steps over the first, beta 0.1": 1e-2,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--games", type=int, default=50, help="how many random games")
    parser.add_argument("--played", type=int, default=10, help="how many games of two players are played to the end")


def run(args: argparse.Namespace) -> Outcome:
    """The worst of every check over the games."""
    torch.set_num_threads(1)
    found: dict[str, list[float]] = {name: [] for name in BOUND}
    for seed in range(args.games):
        for name, value in checks(seed).items():
            found[name].append(value)
    found["gap after 10,000 steps over the first, beta 0.1"] = [played(seed) for seed in range(args.played)]
    values: dict[str, Any] = {name: max(of) for name, of in found.items()}
    holds = all(value <= BOUND[name] for name, value in values.items())
    return Outcome({**values, "games": args.games}, BOUND, holds)


def checks(seed: int) -> dict[str, float]:
    """Every check on one random game."""
    game = random_game(seed)
    profile = random_profile(game, seed)
    best = game.best_response(profile)
    hard = random_game(seed, ridge=1e-8)
    solved = {"1e-4": equilibrium(game).relative_gap, "1e-8": equilibrium(hard).relative_gap}
    alone = game.without_coupling()
    return {
        "relative gradient at the best response": relative_gradient(game, profile, best),
        "L-BFGS below the exact minimum": below(game, profile, best),
        "gap identity": identity(game, profile),
        **bounded(game, profile),
        **{f"relative gap at the equilibrium, ridge {ridge}": gap for ridge, gap in solved.items()},
        "most negative gap": max(-float(game.gaps(profile).min()), -float(least_gap(game, profile, ball(game))), 0.0),
        "coupling left in the system at beta 0": float(_off_diagonal(alone).abs().max()),
        "two players: alternating radius against the simultaneous one squared": squares(seed),
    }


def least_gap(game: QuadraticGame, profile: Tensor, bound: float) -> Tensor:
    """The smallest gap of the profile scaled into the norm bound, under that bound."""
    norms = profile.flatten(1).norm(dim=1)
    return replace(game, radius=bound).gaps(profile * (bound / norms).clamp_max(1)[:, None, None]).min()


def relative_gradient(game: QuadraticGame, profile: Tensor, best: Tensor) -> float:
    """Of each player at its best response, against the size of what the gradient is a difference of."""
    aims = game.aims(profile)
    return float(((best @ game.hessians() - aims).norm(dim=(1, 2)) / aims.norm(dim=(1, 2))).max())


def own_loss(game: QuadraticGame, profile: Tensor, strategy: Tensor, k: int) -> Tensor:
    """Player k's loss at another strategy of its own, the others as they are."""
    changed = profile.clone()
    changed[k] = strategy
    return game.losses(changed)[k]


def below(game: QuadraticGame, profile: Tensor, best: Tensor) -> float:
    """How far L-BFGS from a random start gets below the exact minimum; not at all is 0."""
    worst = 0.0
    for k in range(len(profile)):
        strategy = profile[k].clone().requires_grad_()
        optimiser = torch.optim.LBFGS([strategy], max_iter=500, tolerance_grad=1e-14, line_search_fn="strong_wolfe")

        def closure(strategy: Tensor = strategy, k: int = k, optimiser: torch.optim.LBFGS = optimiser) -> Tensor:
            optimiser.zero_grad()
            loss = own_loss(game, profile, strategy, k)
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        optimiser.step(closure)  # type: ignore[no-untyped-call]
        found = own_loss(game, profile, strategy.detach(), k)
        worst = max(worst, float(own_loss(game, profile, best[k], k) - found))
    return worst


def identity(game: QuadraticGame, profile: Tensor) -> float:
    """The gap against the difference of the two losses, relative to the loss."""
    best, gaps = game.best_response(profile), game.gaps(profile)
    worst = 0.0
    for k in range(len(profile)):
        mine, least = own_loss(game, profile, profile[k], k), own_loss(game, profile, best[k], k)
        worst = max(worst, float((mine - least - gaps[k]).abs() / mine.abs().clamp_min(1)))
    return worst


def bounded(game: QuadraticGame, profile: Tensor) -> dict[str, float]:
    """The norm-constrained best response against its law, accelerated projected gradient, and the rescaled free one."""
    bound = ball(game)
    found = {"norm": 0.0, "accelerated gradient below the exact minimum": 0.0}
    found["the rescaled free solution is not worse"] = 0.0
    for k, (hessian, aim) in enumerate(zip(game.hessians(), game.aims(profile), strict=True)):
        free = solve_rows(hessian[None], aim[None])[0]
        if float(free.norm()) <= bound:
            continue
        exact = within_ball(hessian, aim, bound)
        least = own_loss(game, profile, exact, k)
        peer = own_loss(game, profile, accelerated(hessian, aim, bound), k)
        rescaled = own_loss(game, profile, free * bound / free.norm(), k)
        found["norm"] = max(found["norm"], abs(float(exact.norm()) / bound - 1))
        key = "accelerated gradient below the exact minimum"
        found[key] = max(found[key], float((least - peer) / least.abs().clamp_min(1)))
        found["the rescaled free solution is not worse"] += float(rescaled <= least)
    return {f"active bound: {name}": value for name, value in found.items()}


def accelerated(hessian: Tensor, aim: Tensor, bound: float, steps: int = 2000) -> Tensor:
    """Projected accelerated gradient (Beck & Teboulle 2009) on ``1/2 <A H, A> - <A, R>`` in the ball."""
    rate = 1 / float(torch.linalg.eigvalsh(hessian).max())
    point = ahead = torch.zeros_like(aim)
    momentum = 1.0
    for _ in range(steps):
        moved = ahead - rate * (ahead @ hessian - aim)
        moved = moved * min(1.0, bound / float(moved.norm().clamp_min(1e-300)))
        following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        ahead = moved + (momentum - 1) / following * (moved - point)
        point, momentum = moved, following
    return point


def _off_diagonal(game: QuadraticGame) -> Tensor:
    block = torch.arange(game.moments.players * game.moments.count) // game.moments.count
    return system(game) * (block[:, None] != block)


def squares(seed: int) -> float:
    """Relative difference of the alternating radius from the square of the simultaneous one; 0 for more than two players."""
    game = random_game(seed, ridge=1e-4)
    if game.moments.players != 2:
        return 0.0
    squared = radius(game) ** 2
    return abs(radius(game, "alternating") - squared) / max(1.0, squared)


def played(seed: int) -> float:
    """What gradient play at rate 1/L leaves of the gap after 10,000 steps: two players, beta 0.1, the default ridge."""
    problem = problem_of(two_gaussians(1.0), seed, sharing="independent")
    game = Mutual(beta=0.1, ridge=Ridge()).game(problem, problem.plain[1])
    result = descend(game, Descent(steps=10_000))
    return result.gap / result.gaps[0]
