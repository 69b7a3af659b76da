"""What a step costs with a term that pulls classes together, beside plain denoising, and beside CBDM as its paper computes it.

A step is that of training: drawing the batch, forward and backward pass, clipping, AdamW and averaged weights. All kinds of
step take their turn in every round, in an order that rotates; a ratio is the median over rounds of the ratio inside a round,
of seconds of the processor on one thread. On the plain term's predictions the regularisers add the predictions under other
labels on a share ``rows`` of the batch, drawn so that the expectation is that of all rows; the paper's way, written here from
its equation 4 and algorithm 1, is a second forward and backward pass of the whole batch.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import ClassVar, NamedTuple

import torch

from benchmarks.game_cost import interleaved, on_noise, ratio
from benchmarks.runner import Outcome
from evenscore.configuration import TrainConfig
from evenscore.denoisers.base import Denoiser
from evenscore.labels import LabelDistribution
from evenscore.objectives import CBDM, Denoising, Mutual, Noised, Objective, Terms
from evenscore.objectives.base import per_sample

SUMMARY = (
    "Time of a step with CBDM or a mutual term: at most 1.25 times plain denoising, flat within 10 % to 1000 classes"
)
SIZES = {"tiny": 16, "small": 32}
"""Network, and side of its images in pixels."""
PLAIN, FLAT = 1.25, 1.10
"""Bounds of the ratios."""
ROWS, FEW = 1 / 8, 1 / 32
"""Shares of a batch on which CBDM with its drawn labels, and a sum over all other labels, are evaluated within the bound."""


@dataclass(frozen=True)
class PaperCBDM(Objective):
    """CBDM with two forward passes of the whole batch, both with a gradient (Qin et al. 2023, eq. 4 and algorithm 1).

    ``|h - eps|^2 + tau (t / T) [ |h - sg(h')|^2 + gamma |sg(h) - h'|^2 ]``, with h under the true labels and h' under labels
    drawn from the training law.

    Attributes:
        tau: strength.
        gamma: weight of the commitment term.
    """

    tau: float = 1.0
    gamma: float = 0.25
    source: ClassVar[str] = "Qin et al. 2023, eq. 4"
    forwards: ClassVar[float] = 2.0

    def __call__(
        self, denoiser: Denoiser, batch: Noised, labels: LabelDistribution, generator: torch.Generator
    ) -> Terms:
        other = labels.sample(len(batch.y), generator, "train").to(batch.y.device)
        h = denoiser.predict(batch.x_t, batch.t, batch.y).eps
        drawn = denoiser.predict(batch.x_t, batch.t, other).eps
        apart = per_sample((h - drawn.detach()).square()) + self.gamma * per_sample((h.detach() - drawn).square())
        return {"denoising": per_sample((h - batch.eps).square()), "pull": self.tau * batch.t * apart}


class Kind(NamedTuple):
    """A kind of step."""

    objective: Objective
    classes: int = 10


DENOISING = Kind(Denoising())
PAPER, WHOLE, PART = Kind(PaperCBDM()), Kind(CBDM()), Kind(CBDM(rows=ROWS))
DRAWN, LISTED = Kind(Mutual()), Kind(Mutual(coupling="uniform-enumerated", rows=FEW))
QUARTER = Kind(Mutual(coupling="uniform-enumerated"))
RATIOS: Mapping[str, tuple[Kind, Kind, float | None]] = {
    "cbdm rows=1/8 to denoising": (PART, DENOISING, PLAIN),
    "mutual to denoising": (DRAWN, DENOISING, PLAIN),
    "mutual uniform-enumerated rows=1/32, 10 classes, to denoising": (LISTED, DENOISING, PLAIN),
    "mutual uniform-enumerated, 10 classes, to denoising": (QUARTER, DENOISING, None),
    "cbdm rows=1 to denoising": (WHOLE, DENOISING, None),
    "cbdm as in its paper to denoising": (PAPER, DENOISING, None),
    "cbdm rows=1/8, 1000 to 10 classes": (PART._replace(classes=1000), PART, FLAT),
    "mutual, 1000 to 10 classes": (DRAWN._replace(classes=1000), DRAWN, FLAT),
}
"""What is divided by what, and the bound of the ratio, None for information only."""
KINDS = tuple(dict.fromkeys(kind for above, below, _ in RATIOS.values() for kind in (above, below)))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--sizes", nargs="+", choices=tuple(SIZES), default=list(SIZES), help="networks to measure")
    parser.add_argument("--rounds", type=int, default=11, help="timed rounds, every kind of step once in each")
    parser.add_argument("--batch", type=int, default=64, help="samples per step")
    parser.add_argument("--quick", action="store_true", help="three rounds, batches of eight, images half as large")


def run(args: argparse.Namespace) -> Outcome:
    """Time all kinds of step on each network."""
    torch.set_num_threads(1)
    batch, rounds = (8, 3) if args.quick else (args.batch, args.rounds)
    values = {}
    for network in args.sizes:
        values[network] = measured(network, SIZES[network] // (2 if args.quick else 1), batch, rounds)
        print(f"{network}: {values[network]}", flush=True)
    limits = {name: limit for name, (_, _, limit) in RATIOS.items() if limit is not None}
    holds = all(values[network][name] <= limit for network in values for name, limit in limits.items())
    return Outcome(values, dict.fromkeys(values, limits), holds)


def measured(network: str, side: int, batch: int, rounds: int) -> dict[str, float]:
    """All ratios on one network."""
    with tempfile.TemporaryDirectory() as folder:
        trainers = {
            kind: on_noise(_config(kind, network, batch), kind.classes, side, Path(folder) / str(i))
            for i, kind in enumerate(KINDS)
        }
        spent = interleaved(trainers, rounds)
    found = {name: ratio(spent, above, below) for name, (above, below, _) in RATIOS.items()}
    return {**found, "denoising, ms per step": 1000 * median(each[DENOISING] for each in spent)}


def _config(kind: Kind, network: str, batch: int) -> TrainConfig:
    return TrainConfig(kind.objective, network, batch_size=batch, steps=100_000)
