"""The paper's one-dimensional cases and a ten-class mixture at the solved equilibrium: which form of borrowing helps whom.

Every method sees the same samples, noise and random features (one draw for all players). Its numbers are chosen on other
seeds than the ones it is judged on, from a grid of the same size, by the median divergence of the worst class; the game
without coupling chooses the ridge, and all others keep it. Differences are paired by seed.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from scipy.stats import t as student
from torch import Tensor

from benchmarks.games import divergences
from benchmarks.nash_cases import CASES, problem_of
from benchmarks.runner import Outcome
from evenscore.games import Anchored, ClassGaussians, Mutual, PartialPooling, Ridge, Rule

SUMMARY = "The paper's one-dimensional cases and ten classes in the plane at the solved equilibrium, paired over seeds"
RIDGES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
STRENGTHS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
TUNING = 10_000
"""Seeds from here on choose numbers, seeds below judge."""
HARM = 0.01
PLAIN = "beta 0"
OURS = (
    "kappa/n, noisy similarity",
    "kappa/n, noisy similarity, vanishing",
    "anchored",
    "anchored, neighbours",
    "gaussians, neighbours",
)
"""Rules of our own; the others are the field's, or named in the theory."""


class Family(NamedTuple):
    """A method with one number to choose: the rule, and the features that it sees (see ``PROBLEMS``)."""

    make: Callable[[float, Ridge], Rule]
    problem: str = "paper"


PROBLEMS: Mapping[str, Mapping[str, str]] = {
    "paper": {},
    "vanishing": {"coupling": "vanishing"},
    "re-centred": {"centring": "neighbours"},
}
"""Choices of :func:`benchmarks.nash_cases.problem_of`."""
FAMILIES: Mapping[str, Family] = {
    "uniform beta": Family(lambda v, ridge: Mutual(beta=v, ridge=ridge)),
    "uniform beta, vanishing": Family(lambda v, ridge: Mutual(beta=v, ridge=ridge), "vanishing"),
    "kappa/n": Family(lambda v, ridge: Mutual(kappa=v, ridge=ridge)),
    "kappa/n, similarity": Family(lambda v, ridge: Mutual(kappa=v, law="similarity", ridge=ridge)),
    "kappa/n, noisy similarity": Family(lambda v, ridge: Mutual(kappa=v, law="noisy-similarity", ridge=ridge)),
    "partial pooling": Family(lambda v, ridge: PartialPooling(v, ridge)),
    "re-centred": Family(lambda v, ridge: Mutual(ridge=Ridge(k0=10 * v)), "re-centred"),
    "kappa/n, noisy similarity, vanishing": Family(
        lambda v, ridge: Mutual(kappa=v, law="noisy-similarity", ridge=ridge), "vanishing"
    ),
    "anchored": Family(lambda v, ridge: Anchored(Mutual(ridge=Ridge(k0=v)), "population")),
    "anchored, neighbours": Family(lambda v, ridge: Anchored(Mutual(ridge=Ridge(k0=v)))),
}
FIXED: Mapping[str, Callable[[Ridge], Rule]] = {
    "beta 0.01, the paper's": lambda ridge: Mutual(beta=0.01, ridge=ridge),
    "gaussians": lambda ridge: ClassGaussians(),
    "gaussians, neighbours": lambda ridge: ClassGaussians("neighbours"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--seeds", type=int, default=100, help="seeds of each one-dimensional case")
    parser.add_argument("--ten-seeds", type=int, default=24, help="seeds of the ten classes")
    parser.add_argument("--tuning-seeds", type=int, default=16, help="other seeds, on which numbers are chosen")
    parser.add_argument("--quick", action="store_true", help="three cases, 12 seeds, 4 for the choice")
    parser.add_argument("--figures", type=Path, help="a folder for one figure (SVG) of each case")
    parser.add_argument("--workers", type=int, default=2, help="processes")


def run(args: argparse.Namespace) -> Outcome:
    """Every case; the bound concerns our own rules on the ten classes."""
    if args.quick:
        args.seeds, args.ten_seeds, args.tuning_seeds = 12, 12, 4
    names = ["mu 1", "equal means", "ten classes"] if args.quick else list(CASES)
    values: dict[str, Any] = {}
    with ProcessPoolExecutor(args.workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for name in names:
            seeds = args.ten_seeds if name == "ten classes" else args.seeds
            values[name] = study(name, seeds, args.tuning_seeds, pool)
            print(f"{name}: done", flush=True)
    if args.figures:
        from benchmarks.nash_figures import draw

        draw(values, args.figures)
    ten = values["ten classes"]["methods"]
    others = min(row["median"]["tail"] for method, row in ten.items() if method not in OURS)
    winners = [m for m in OURS if ten[m]["median"]["tail"] < others and ten[m]["against beta 0"]["head"][2] <= HARM]
    values["rules of our own that win"] = winners
    bound = {
        "rules of our own that win": "one at least: a lower median tail divergence than every other method, and the head"
        f" at most {HARM} worse than beta 0"
    }
    return Outcome(values, bound, bool(winners))


def study(name: str, seeds: int, tuning: int, pool: ProcessPoolExecutor) -> dict[str, Any]:
    """Choose numbers on the tuning seeds, then judge every method on the others."""
    other = range(TUNING, TUNING + tuning)
    ridges = {f"{k0:g}": Mutual(ridge=Ridge(k0=k0)) for k0 in RIDGES}
    best = _best(measure(name, ridges, other, pool))
    ridge = Ridge(k0=float(best))
    tried = {f"{of}|{v:g}": family.make(v, ridge) for of, family in FAMILIES.items() for v in STRENGTHS}
    found = measure(name, tried, other, pool)
    chosen = {
        family: _best({key.partition("|")[2]: of for key, of in found.items() if key.partition("|")[0] == family})
        for family in FAMILIES
    }
    rules: dict[str, Rule] = {PLAIN: Mutual(ridge=ridge)}
    rules |= {family: FAMILIES[family].make(float(value), ridge) for family, value in chosen.items()}
    rules |= {method: make(ridge) for method, make in FIXED.items()}
    judged = measure(name, rules, range(seeds), pool)
    table = {method: summary(rows, judged[PLAIN], name) for method, rows in judged.items()}
    return {
        "ridge k0": float(best),
        "chosen": {k: float(v) for k, v in chosen.items()},
        "seeds": seeds,
        "methods": table,
    }


def measure(name: str, rules: Mapping[str, Rule], seeds: Sequence[int], pool: ProcessPoolExecutor) -> dict[str, Tensor]:
    """(S, K) divergences of every rule."""
    rows = list(pool.map(partial(_one_seed, name, dict(rules)), seeds))
    return {key: torch.stack([row[key] for row in rows]) for key in rules}


def _one_seed(name: str, rules: dict[str, Rule], seed: int) -> dict[str, Tensor]:
    case = CASES[name]
    laws = case.laws(seed)
    problems = {key: problem_of(case, seed, **choices) for key, choices in PROBLEMS.items()}
    out = {}
    for key, rule in rules.items():
        family = FAMILIES.get(key.partition("|")[0])
        problem = problems[family.problem if family else "paper"]
        out[key] = divergences(rule(problem), laws, problem.grid, case.nodes)
    return out


def _best(found: Mapping[str, Tensor]) -> str:
    """The number whose worst class has the lowest median divergence."""
    return min(found, key=lambda key: float(found[key].max(1).values.median()))


def summary(rows: Tensor, plain: Tensor, name: str) -> dict[str, Any]:
    """Medians of worst, head and tail divergence, and paired differences from the game without coupling."""
    mine, base = groups(rows, name), groups(plain, name)
    return {
        "median": {group: float(value.median()) for group, value in mine.items()},
        "against beta 0": {group: paired(mine[group] - base[group]) for group in mine},
        "median difference": {group: float((mine[group] - base[group]).median()) for group in mine},
    }


def groups(rows: Tensor, name: str) -> dict[str, Tensor]:
    """(S,) divergence of the worst class, and means over head and tail classes."""
    counts = torch.tensor(CASES[name].counts)
    head, tail = (counts > 100, counts < 20) if len(counts) > 2 else (counts == counts.max(), counts == counts.min())
    return {"worst": rows.max(1).values, "head": rows[:, head].mean(1), "tail": rows[:, tail].mean(1)}


def paired(difference: Tensor) -> list[float]:
    """Lower end, mean and upper end of the 95 % interval of the mean, as [low, mean, high] with the mean second."""
    n, mean = len(difference), float(difference.mean())
    half = float(student.ppf(0.975, n - 1)) * float(difference.std()) / math.sqrt(n)
    return [mean - half, mean, mean + half]
