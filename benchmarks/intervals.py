"""How often the 95 % intervals of the measures cover, and the bias of the Frechet distance that justifies its guard.

Simulated evaluations of normal laws: every measure of generated against reference samples, with its interval. What an
interval should cover is known in closed form for the Frechet distance of unlimited samples, the kernel distance and its
like; for the others, which depend on the sample size, it is the mean over as many further evaluations as are asked for,
drawn apart. Where both laws are one (``same law``) the distances are at the edge of what they can be: their intervals are
too wide by construction, so only the lower bound is held against them; nothing else is measured there.

The bias is what a perfect generator would be charged with: a class whose n generated and n real samples come from one law, so
that the true distance is 0. The Frechet distance stands as a share of tr C1 + tr C2, beside (D + 5) / (4 n); the unbiased
kernel distance as a share of that between the law and its mean (a class whose samples are all the same), with its standard
error over the draws.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.nash_figures import pyplot, save
from benchmarks.runner import Outcome
from evenscore.metrics.base import LARGEST_BIAS, METRICS, Figure
from evenscore.metrics.frechet import FeatureStatistics, frechet_distance
from evenscore.metrics.kernel import kernel_distance
from evenscore.metrics.measure import Plan, Samples, measure_part
from evenscore.random import generator

SUMMARY = (
    "Coverage of 95 % intervals in simulated evaluations within 0.90 .. 0.98, and the bias behind the Frechet guard"
)
LOW, HIGH = 0.90, 0.98
DISTANCES = ("frechet-limit", "kernel", "energy")
KNOWN = ("frechet-limit", "kernel")
"""Measures whose true value follows from the laws."""


@dataclass(frozen=True)
class Case:
    """Evaluations of ``n`` generated and reference samples of ``dimension`` features."""

    dimension: int
    n: int
    metrics: tuple[str, ...]
    same: bool = False


CASES = {
    "8 features, n 200": Case(8, 200, tuple(METRICS)),
    "4 features, n 100": Case(4, 100, ("frechet", *DISTANCES)),
    "16 features, n 105": Case(16, 105, ("frechet", *DISTANCES)),
    "32 features, n 185": Case(32, 185, ("frechet", *DISTANCES)),
    "same law, 16 features, n 105": Case(16, 105, DISTANCES, same=True),
}
"""At the least number of samples from which a Frechet distance is given, where the name does not say 200."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--evaluations", type=int, default=300, help="simulated evaluations of each case")
    parser.add_argument("--replicates", type=int, default=200, help="replicates of each interval")
    parser.add_argument("--cases", nargs="*", default=list(CASES), help="names of the cases")
    parser.add_argument("--figures", metavar="DIR", help="draw the bias and the coverage there (needs matplotlib)")


def run(args: argparse.Namespace) -> Outcome:
    """Coverage of every case, the guard at its threshold, and the bias over n."""
    torch.set_num_threads(1)
    found = {name: coverage(CASES[name], args.evaluations, args.replicates) for name in args.cases}
    guard, bias = guarded(), biases()
    values: dict[str, Any] = {"coverage": found, "guard": guard, "bias": bias}
    if args.figures:
        draw(bias, Path(args.figures))
    covers = all(
        share >= LOW and (share <= HIGH or CASES[name].same) for name, row in found.items() for share in row.values()
    )
    within = all(row["share at the least n"] <= 1.15 * LARGEST_BIAS for row in bias.values())
    unbiased = all(
        abs(k) <= 4 * error
        for row in bias.values()
        for k, error in zip(row["kernel"], row["kernel error"], strict=True)
    )
    turning = {"given at": guard["least n"], "refused at": guard["least n"] - 1}
    holds = covers and within and unbiased and all(guard[key] == value for key, value in turning.items())
    return Outcome(values, {"coverage": [LOW, HIGH], "guard": turning}, holds)


def coverage(case: Case, evaluations: int, replicates: int) -> dict[str, float]:
    """Share of evaluations whose interval holds the true value, by measure."""
    target = targets(case, evaluations)
    hits = dict.fromkeys(case.metrics, 0)
    for figures in evaluated(case, evaluations, replicates, "covered"):
        for name, figure in figures.items():
            assert figure.low is not None
            assert figure.high is not None
            hits[name] += figure.low <= target[name] <= figure.high
    shares = {name: count / evaluations for name, count in hits.items()}
    print(case, shares, flush=True)
    return shares


def evaluated(case: Case, evaluations: int, replicates: int, purpose: str) -> Iterator[dict[str, Figure]]:
    """Figures of one evaluation after another."""
    asked = [METRICS[name] for name in case.metrics]
    shift, generated, reference = laws(case)
    for i in range(evaluations):
        draws = generator(0, purpose, case.dimension, case.n, i)
        x, y = torch.randn(2, case.n, case.dimension, generator=draws, dtype=torch.float64)
        x = x * generated + shift
        likely = torch.softmax(2 * x[:, :4], 1)
        plan = Plan(seed=i, replicates=replicates)
        yield measure_part(asked, Samples(x, None, likely), Samples(y * reference, None), plan, 1)


def laws(case: Case) -> tuple[Tensor, Tensor, Tensor]:
    """Mean of the generated law, and standard deviations of both, (D,) each; the reference has mean 0."""
    scale = torch.logspace(0, -0.5, case.dimension, dtype=torch.float64)
    if case.same:
        return torch.zeros_like(scale), scale, scale
    return 0.5 * scale, 0.6 * (scale + scale.flip(0)), scale


def targets(case: Case, evaluations: int) -> dict[str, float]:
    """What intervals should hold."""
    shift, generated, reference = laws(case)
    rest = tuple(name for name in case.metrics if name not in KNOWN)
    found = {
        "frechet-limit": float(shift.square().sum() + (generated - reference).square().sum()),
        "kernel": kernel_of_laws(shift, generated.square(), reference.square()),
    }
    if case.same:
        return found | dict.fromkeys(rest, 0.0)
    others = Case(case.dimension, case.n, rest)
    rows = [[f.value or 0.0 for f in figures.values()] for figures in evaluated(others, evaluations, 0, "target")]
    means = torch.tensor(rows, dtype=torch.float64).mean(0).tolist()
    return found | dict(zip(rest, means, strict=True))


def kernel_of_laws(shift: Tensor, generated: Tensor, reference: Tensor) -> float:
    """The squared discrepancy of normal laws with diagonal covariances under the cubic kernel, from their moments."""
    zero = torch.zeros_like(shift)
    pair = [(shift, generated), (zero, reference)]
    values = [[_cubic_mean(*first, *second) for second in pair] for first in pair]
    return values[0][0] + values[1][1] - 2 * values[0][1]


def _cubic_mean(m1: Tensor, c1: Tensor, m2: Tensor, c2: Tensor) -> float:
    """E (x.y / D + 1)^3 of independent x and y, by Isserlis."""
    inner, spread = float(m1 @ m2), float(c1 @ c2)
    crossed = float(m1.square() @ c2 + m2.square() @ c1)
    second = inner**2 + crossed + spread
    third = inner**3 + 3 * inner * crossed + 3 * inner * spread + 6 * float((m1 * m2 * c1 * c2).sum())
    d = len(m1)
    return third / d**3 + 3 * second / d**2 + 3 * inner / d + 1


def guarded(dimension: int = 24) -> dict[str, Any]:
    """At which numbers a Frechet distance is given and refused, and what stands in its place."""
    least = METRICS["frechet"].least_samples(dimension)
    found: dict[str, Any] = {"features": dimension, "least n": least}
    for n in (least - 1, least):
        x, y = torch.randn(2, n, dimension, generator=generator(0, "guard", n), dtype=torch.float64)
        figures = measure_part([METRICS["frechet"]], Samples(x, None), Samples(y, None), Plan(replicates=2), 1)
        if figures["frechet"].value is None:
            found |= {"refused at": n, "instead": [name for name in figures if name != "frechet"]}
        else:
            found["given at"] = n
    return found


def biases(dimensions: Sequence[int] = (16, 64, 192), draws: int = 48) -> dict[str, dict[str, Any]]:
    """Mean distances of two samples of one law, as shares of what the module says, over n."""
    found: dict[str, dict[str, Any]] = {}
    for d in dimensions:
        least = METRICS["frechet"].least_samples(d)
        sizes = [round(least * factor) for factor in (0.1, 0.2, 0.4, 0.7, 1, 2, 4)]
        rows = [_shares(d, n, draws) for n in sizes]
        shares, kernel, errors = ([row[i] for row in rows] for i in range(3))
        found[f"{d} features"] = {
            "least n": least,
            "n": sizes,
            "share": shares,
            "predicted": [(d + 5) / (4 * n) for n in sizes],
            "kernel": kernel,
            "kernel error": errors,
            "share at the least n": shares[sizes.index(least)],
        }
    return found


def _shares(dimension: int, n: int, draws: int) -> tuple[float, float, float]:
    """Frechet distance, kernel distance and its standard error."""
    source = generator(0, "bias", dimension, n)
    pairs = [torch.randn(2, n, dimension, generator=source, dtype=torch.float64) for _ in range(draws)]
    frechet = [frechet_distance(*(FeatureStatistics.of(x) for x in pair)) for pair in pairs]
    zero, one = torch.zeros(dimension, dtype=torch.float64), torch.ones(dimension, dtype=torch.float64)
    collapsed = kernel_of_laws(zero, zero, one)
    kernel = torch.tensor([kernel_distance(*pair) for pair in pairs], dtype=torch.float64) / collapsed
    error = float(kernel.std()) / math.sqrt(draws)
    return math.fsum(frechet) / draws / (2 * dimension), float(kernel.mean()), error


def draw(bias: Mapping[str, Mapping[str, Any]], folder: Path) -> None:
    """The bias of both distances over n, with the least n of the guard (dotted): measured points, predicted lines."""
    plt = pyplot()
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), sharex=True)
    for place, (name, row) in enumerate(bias.items()):
        colour = f"C{place}"
        left.loglog(row["n"], row["predicted"], color=colour, label=name)
        left.loglog(row["n"], row["share"], "o", color=colour)
        ends = [1.96 * error for error in row["kernel error"]]
        right.errorbar(row["n"], row["kernel"], ends, fmt="o", color=colour, capsize=2, label=name)
        for axis in (left, right):
            axis.axvline(row["least n"], color=colour, linewidth=0.8, linestyle=":")
    left.axhline(LARGEST_BIAS, color="0.5", linewidth=0.8)
    right.axhline(0, color="0.5", linewidth=0.8)
    left.set_title("Frechet distance, share of tr C1 + tr C2")
    right.set_title("kernel distance, share of that of a collapsed class")
    for axis in (left, right):
        axis.set_xlabel("samples of the class, generated and real; dotted: least n of the guard")
    left.legend(fontsize=8)
    figure.suptitle("a perfect generator, judged class by class: the true distances are 0")
    save(plt, figure, folder / "frechet-bias.svg")
