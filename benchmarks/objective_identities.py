"""What is true of the objectives for long tails exactly, and where they move predictions on an exact mixture."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from benchmarks.objective_bias import calibration, pulls
from benchmarks.runner import Outcome
from evenscore.checks import LABELS, Case, check_objective, make_batch, neutral, plain_denoiser
from evenscore.kernel import level, reverse_kernel
from evenscore.labels import LabelDistribution
from evenscore.objectives import (
    CCUA,
    OBJECTIVES,
    CapacityManipulation,
    Denoising,
    OrientedCalibration,
)
from evenscore.objectives.contrast import repulsion, supervised
from evenscore.objectives.coupling import Coupling
from evenscore.objectives.diffrop import reverse_divergence
from evenscore.objectives.naming import read_objective
from evenscore.prediction import Prediction
from evenscore.process import VP

SUMMARY = "Objectives for long tails: their exact identities, and their bias on an exact mixture against its formula"
COMBINED = ("cbdm+coral", "oriented-calibration+capacity-manipulation", "class-noise+ccua+worst-class")
EXACT, ROUNDING, ERRORS = 0.0, 1e-6, 4.5
"""Bounds: nothing at all, rounding in float32, and standard errors of a mean (the largest of a dozen)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument(
        "--draws", type=int, default=20_000, help="clean values drawn for each label at one noisy value"
    )
    parser.add_argument("--batch", type=int, default=1500, help="rows of a batch whose targets are calibrated")
    parser.add_argument("--repeats", type=int, default=24, help="such batches")


def run(args: argparse.Namespace) -> Outcome:
    """Every identity, and the two measurements."""
    identities = {name: measure() for name, measure in IDENTITIES.items()}
    kept = {name: len(check_objective(read_objective(name))) for name in (*OBJECTIVES, *COMBINED)}
    moved = pulls(args.draws, 0)
    targets = calibration(args.batch, args.repeats, 0)
    values: dict[str, Any] = {"identity": identities, "laws kept": kept, "bias": moved, "target": targets}
    bound = {
        "identity": {name: BOUNDS.get(name, ROUNDING) for name in identities},
        "bias": {
            name: {key: (1e-9 if "means" in key else ERRORS) for key in row if "against" in key}
            for name, row in moved.items()
        },
        "target": {name: {"measured against formula, in standard errors": ERRORS} for name in targets},
    }
    return Outcome(values, bound, _within(values, bound))


def _within(values: Mapping[str, Any], bound: Mapping[str, Any]) -> bool:
    """Whether every value that has a bound is at most that."""
    inner = [_within(values[key], limit) for key, limit in bound.items() if isinstance(limit, Mapping)]
    return all(inner) and all(values[key] <= limit for key, limit in bound.items() if not isinstance(limit, Mapping))


def neutral_settings() -> float:
    """Largest difference of a loss at neutral settings from plain denoising, over all objectives."""
    worst = 0.0
    for kind in OBJECTIVES.values():
        case = Case.of(kind())
        objective, denoiser = neutral(case.objective), case.denoiser()
        mine = torch.stack(list(case.terms(denoiser, objective=objective).values())).sum(0)
        worst = max(worst, _apart(mine, case.terms(denoiser, objective=Denoising())["denoising"]))
    return worst


def batch_of_one() -> float:
    """Largest difference of a calibrated loss in a batch of one from plain denoising, over the gates."""
    row = make_batch(dropped="some")
    alone = type(row)(*(value[:1] for value in (row.x0, row.y, row.y_in, row.t, row.eps, row.x_t)))
    denoiser, draws = plain_denoiser(), torch.Generator
    wanted = Denoising()(denoiser, alone, LABELS, draws())["denoising"]
    gates = ("t2h", "h2t", "full", "soft")
    return max(
        _apart(OrientedCalibration(gate)(denoiser, alone, LABELS, draws())["denoising"], wanted) for gate in gates
    )


def transfer_law() -> float:
    """Largest difference of the transfer law from Bayes' rule over the batch."""
    rows, process = make_batch(torch.float64), VP()
    found = OrientedCalibration("full").transfer_law(process, rows, LABELS)
    alpha, sigma = process.alpha(rows.t), process.sigma(rows.t)
    logits = torch.distributions.Normal(alpha[:, None, None] * rows.x0[None], sigma[:, None, None])
    exact = logits.log_prob(rows.x_t[:, None]).sum(2).softmax(1)
    return _apart(found, exact)


def targets_explain() -> float:
    """Largest difference of ``alpha x0_z + sigma eps'`` from the noisy sample."""
    rows, process = make_batch(torch.float64), VP()
    aimed = OrientedCalibration("full").aim(process, rows, LABELS, torch.Generator().manual_seed(0))
    return _apart(process.perturb(aimed.x0, aimed.t, aimed.eps), rows.x_t)


def contrast_by_pairs() -> float:
    """Largest difference of the supervised contrast from a sum over pairs."""
    u, y = torch.randn(12, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64), torch.arange(12) % 5
    found, unit = supervised(u, y, torch.ones(12, dtype=torch.bool), 0.1), u / u.norm(dim=1, keepdim=True)
    worst = 0.0
    for i in range(12):
        others = [j for j in range(12) if j != i]
        total = sum(math.exp(float(unit[i] @ unit[j]) / 0.1) for j in others)
        mine = [j for j in others if y[j] == y[i]]
        wanted = -sum(float(unit[i] @ unit[j]) / 0.1 - math.log(total) for j in mine) / max(1, len(mine))
        worst = max(worst, abs(float(found[i]) - wanted))
    return worst


def repulsion_of_equal_latents() -> float:
    """Difference of the repulsion of equal latents from its largest value, 1."""
    return _apart(repulsion(torch.ones(6, 3), torch.ones(6, dtype=torch.bool), 0.25), torch.ones(6))


def alignment_is_a_coupling() -> float:
    """Largest difference of the alignment from the coupling of law null."""
    denoiser, rows = plain_denoiser(), make_batch()
    with torch.no_grad():
        mine = CCUA(alpha=0.0)(denoiser, rows, LABELS, torch.Generator())["alignment"]
        seen = denoiser.predict(rows.x_t, rows.t, rows.y_in)
        theirs = Coupling("null", 1.0, "constant", "reference")(denoiser, seen, rows, LABELS, torch.Generator())
    return _apart(mine, theirs["pull"])


def divergence() -> float:
    """Largest relative difference of the divergence of two reverse kernels from its closed form."""
    process, random = VP(), torch.Generator().manual_seed(0)
    x, one, two = (torch.randn(9, 4, generator=random, dtype=torch.float64) for _ in range(3))
    before, after = (level(process, torch.tensor(t, dtype=torch.float64)) for t in (0.7, 0.6))
    t = torch.full((9,), 0.7, dtype=torch.float64)
    laws = [reverse_kernel(Prediction.from_eps(eps, x, t, process), before, after) for eps in (one, two)]
    normals = [torch.distributions.Normal(law.mean, law.std) for law in laws]
    exact = torch.distributions.kl_divergence(*normals).sum(1)
    found = reverse_divergence(before.log_snr, after.log_snr, (one - two).square().sum(1))
    return float(((found - exact) / exact).abs().max())


def merging() -> float:
    """Largest difference of a merged network's predictions from those with the reserve."""
    case = Case.of(CapacityManipulation())
    denoiser, rows = case.denoiser(), make_batch()
    with torch.no_grad():
        before = denoiser.predict(rows.x_t, rows.t, rows.y_in).x0
        case.objective.release(denoiser)
        return _apart(denoiser.predict(rows.x_t, rows.t, rows.y_in).x0, before)


def balanced_counts() -> float:
    """Largest class weight of capacity manipulation where all counts are equal."""
    return float(CapacityManipulation().class_weights(LabelDistribution((7,) * 10)).abs().max())


def _apart(one: Tensor, other: Tensor) -> float:
    return float((one - other).detach().abs().max())


IDENTITIES: Mapping[str, Callable[[], float]] = {
    "neutral settings are plain denoising": neutral_settings,
    "calibration in a batch of one is plain denoising": batch_of_one,
    "transfer law against Bayes' rule": transfer_law,
    "calibrated targets explain the noisy sample": targets_explain,
    "supervised contrast against pairs": contrast_by_pairs,
    "repulsion of equal latents is 1": repulsion_of_equal_latents,
    "alignment against the coupling to no label": alignment_is_a_coupling,
    "divergence of reverse kernels, relative": divergence,
    "merged against unmerged": merging,
    "capacity weight at equal counts": balanced_counts,
}
BOUNDS = {
    "neutral settings are plain denoising": EXACT,
    "calibration in a batch of one is plain denoising": EXACT,
}
