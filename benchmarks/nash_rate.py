"""Gap against iterations for each strength and step rule, the solver's time to the same gap, and where play is stable."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.nash_cases import problem_of, two_gaussians
from benchmarks.runner import Outcome
from evenscore.games import Descent, Mutual, Played, Problem, QuadraticGame, Ridge, descend, equilibrium, radius
from evenscore.games.theory import paper_smoothness

SUMMARY = (
    "Nash gap against iterations for every strength and step rule, beside the closed-form equilibrium; stability map"
)
BETAS = (0.0, 0.01, 0.1, 1.0)
RULES = {
    "simultaneous, 1/L": Descent(play="simultaneous"),
    "alternating, 1/L": Descent(play="alternating"),
    "extragradient, 1/(2L)": Descent(play="extragradient"),
    "simultaneous, the paper's rate": Descent(play="simultaneous", rate="paper"),
}
DISTANCES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
BOUND = {
    "gap left by 1/L at beta up to 0.1": 0.01,
    "gap left by the solver": 1e-15,
    "descent time over solver time": 10.0,
    "contracting at beta up to 0.1": 1.0,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--steps", type=int, default=10_000, help="iterations of every rule")
    parser.add_argument("--seeds", type=int, default=5, help="seeds of every point of the stability map")
    parser.add_argument("--figures", type=Path, help="a folder for the figures (SVG)")


def run(args: argparse.Namespace) -> Outcome:
    """Curves on the paper's first case, mu one standard deviation."""
    torch.set_num_threads(1)
    curves: dict[str, dict[str, Any]] = {}
    solver: dict[str, dict[str, float]] = {}
    for beta in BETAS:
        game, problem = case(1.0, 0, beta)
        curves[f"{beta:g}"] = {
            name: curve(game, problem, beta, replace(how, steps=args.steps)) for name, how in RULES.items()
        }
        solver[f"{beta:g}"] = solved(game)
    stable = stability_map(args.seeds)
    small = [beta for beta in BETAS if beta <= 0.1]
    values: dict[str, Any] = {
        "gap left by 1/L at beta up to 0.1": max(last(curves, beta, "simultaneous, 1/L") for beta in small),
        "gap left by the paper's rate": {f"{b:g}": last(curves, b, "simultaneous, the paper's rate") for b in BETAS},
        "gap left by the solver": max(of["relative gap"] for of in solver.values()),
        "descent time over solver time": min(
            curves[f"{b:g}"]["simultaneous, 1/L"]["seconds"] / solver[f"{b:g}"]["seconds"] for b in BETAS
        ),
        "contracting at beta up to 0.1": max(
            r for beta, row in zip(STRENGTHS, stable["radius"], strict=True) if beta <= 0.1 for r in row
        ),
        "solver": solver,
        "curves": curves,
        "stability map": stable,
    }
    if args.figures:
        from benchmarks.nash_figures import draw_rate

        draw_rate(values, args.figures)
    holds = all(values[key] <= BOUND[key] for key in BOUND if key != "descent time over solver time")
    return Outcome(
        values, BOUND, holds and values["descent time over solver time"] >= BOUND["descent time over solver time"]
    )


def case(mu: float, seed: int, beta: float) -> tuple[QuadraticGame, Problem]:
    """Two Gaussians at -mu and mu, the paper's independent features, a relative ridge of 1e-4."""
    problem = problem_of(two_gaussians(mu), seed, sharing="independent")
    return Mutual(beta=beta, ridge=Ridge(fixed=1e-4, k0=0)).game(problem, problem.plain[1]), problem


def curve(game: QuadraticGame, problem: Problem, beta: float, how: Descent) -> dict[str, Any]:
    """Gap and gradient of one way to play, relative to the start, and the seconds it took."""
    bound = paper_smoothness(problem.random, problem.grid, problem.weights, beta, torch.cat(problem.samples))
    started = time.process_time()
    played: Played = descend(game, how, bound=bound)
    seconds = time.process_time() - started
    return {
        "steps": list(played.steps),
        "relative gaps": [gap / played.gaps[0] for gap in played.gaps],
        "relative gradients": [g / played.gradients[0] for g in played.gradients],
        "rate": played.rate,
        "seconds": seconds,
        "diverged": played.diverged,
    }


def solved(game: QuadraticGame, repeats: int = 7) -> dict[str, float]:
    """The closed form: its gap over that of the zero profile, and the median seconds."""
    first = float(game.gaps(torch.zeros_like(game.centre)).max())
    spent = []
    for _ in range(repeats):
        started = time.process_time()
        found = equilibrium(game)
        spent.append(time.process_time() - started)
    return {"relative gap": float(found.gaps.max()) / first, "seconds": median(spent), "stability": found.stability}


def last(curves: dict[str, dict[str, Any]], beta: float, rule: str) -> float:
    """The smallest relative gap that a rule reached."""
    return float(min(curves[f"{beta:g}"][rule]["relative gaps"]))


def stability_map(seeds: int) -> dict[str, Any]:
    """Median radius of iterated best responses against strength (rows) and distance of two classes (columns)."""
    rows = [
        [median(radius(case(distance / 2, seed, beta)[0]) for seed in range(seeds)) for distance in DISTANCES]
        for beta in STRENGTHS
    ]
    return {"beta": list(STRENGTHS), "distance": list(DISTANCES), "radius": rows}
