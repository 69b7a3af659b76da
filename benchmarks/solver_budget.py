"""Quality for each denoiser evaluation: the moments of every solver's samples on an exact mixture, at fixed budgets."""

from __future__ import annotations

import argparse
from typing import Any

import torch

from benchmarks import instruments as on
from benchmarks.runner import Outcome
from evenscore.process import VP
from evenscore.solvers import GRIDS, SOLVERS, Adaptive, Solver, steps_for

SUMMARY = "Moment error of every solver on an exact mixture at 6 to 100 denoiser evaluations per sample"
BUDGETS = (6, 12, 25, 50, 100)
PLACED = ("log-snr", "uniform")
TOLERANCES = (0.03, 0.01, 0.001)
DEFAULT = "dpm++2m"
BOUND = {"default at 12": 0.1, "default at 100": 0.01, "adaptive at 0.001": 0.01}
LEFT = 2 / 3
"""Of the error at 25 evaluations at most this share may be left at 100, for every solver."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--count", type=int, default=4096, help="samples of each solver and budget")


def run(args: argparse.Namespace) -> Outcome:
    """Measure every solver whose cost is fixed, then the adaptive one by tolerance, all with default settings."""
    torch.set_num_threads(1)
    errors = {grid: {name: by_budget(name, grid, args.count) for name in fixed()} for grid in PLACED}
    adaptive = {f"{tolerance:g}": by_tolerance(tolerance, args.count) for tolerance in TOLERANCES}
    left = {name: row["100"] / row["25"] for name, row in errors["log-snr"].items()}
    checked = {
        "default at 12": errors["log-snr"][DEFAULT]["12"],
        "default at 100": errors["log-snr"][DEFAULT]["100"],
        "adaptive at 0.001": adaptive["0.001"]["moment error"],
    }
    values = {"moment error": errors, "adaptive": adaptive, "error at 100 over error at 25": left, **checked}
    bound = {**BOUND, "error at 100 over error at 25": dict.fromkeys(left, LEFT)}
    holds = all(checked[key] <= limit for key, limit in BOUND.items()) and max(left.values()) <= LEFT
    return Outcome(values, bound, holds)


def fixed() -> list[str]:
    """The solvers that the smallest budget pays for and whose cost does not depend on the sample."""
    return [name for name, kind in SOLVERS.items() if kind is not Adaptive and kind().evaluations < BUDGETS[0]]


def by_budget(name: str, grid: str, count: int) -> dict[str, float]:
    """Moment error at each of :data:`BUDGETS`, the last evaluation being the denoising at the end."""
    solver = on.solver_of(name, {})
    return {str(nfe): error(solver, grid, steps_for(solver, nfe), count) for nfe in BUDGETS}


def error(solver: Solver, grid: str, steps: int, count: int) -> float:
    """Largest relative error of the moments of the large class of :func:`benchmarks.instruments.planar`."""
    denoiser = on.planar(VP())
    return max(on.moment_errors(denoiser, on.draw(denoiser, solver, GRIDS[grid](VP(), steps), 0, count), 0))


def by_tolerance(tolerance: float, count: int) -> dict[str, Any]:
    """Moment error of the adaptive solver, and the evaluations that it took, the mean over samples."""
    denoiser, rows = on.planar(VP()), []
    denoiser.register_forward_hook(lambda module, given, result: rows.append(len(given[0])))
    drawn = on.draw(denoiser, Adaptive(tolerance, tolerance), GRIDS["log-snr"](VP(), 1), 0, count)
    return {"evaluations": sum(rows) / count, "moment error": max(on.moment_errors(denoiser, drawn, 0))}
