"""The learned correction: a network trained on most rows, and how much of it each class takes, judged on the rest.

Law: rows that judge are seen neither by the network nor by the law in closed form that it is compared with; both see
the same noise. The weight of a class is the best of :data:`WEIGHTS`, but 0 where that is not clearly behind: a class that
its law in closed form describes is not corrected, nor is one that has too few rows to tell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evenscore.data import Dataset
from evenscore.denoisers.base import Denoiser
from evenscore.objectives import noised
from evenscore.objectives.base import per_sample
from evenscore.objectives.levels import draw_times
from evenscore.objectives.weighting import x0_weight
from evenscore.process import expand
from evenscore.random import generator
from evenscore.run import Run
from evenscore.training import Progress, train
from evenscore.training.estimate import estimate
from evenscore.vectors.settings import LARGE, LEFT_OUT, MOST_LEFT_OUT, FitSettings, with_steps, within_seconds

WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
DRAWS = 16
"""Noisy versions of each row that judges."""
ERRORS = 2.0
GAIN = 0.005
"""A correction has to lower the loss by more than so many standard errors, and by more than this share."""

Tell = Callable[[Progress], None]
_stop: ContextVar[Callable[[], bool]] = ContextVar("stop", default=lambda: False)


@contextmanager
def stopped_by(stop: Callable[[], bool]) -> Iterator[None]:
    """Networks that are trained inside ask ``stop`` after every step.

    Where it is true, they save and end with KeyboardInterrupt. It is asked from afar: what lies between has scikit-learn's
    interface.
    """
    before = _stop.set(stop)
    try:
        yield
    finally:
        _stop.reset(before)


@dataclass(frozen=True)
class Split:
    """Rows to learn from and rows to judge by.

    Attributes:
        kept: numbers of the rows to learn from.
        out: numbers of the rows that are left out, of large classes only.
    """

    kept: NDArray[np.int64]
    out: NDArray[np.int64]


def split(labels: NDArray[np.int64], classes: int, seed: int) -> Split:
    """Leave out some rows of each class that has at least :data:`~evenscore.vectors.settings.LARGE`."""
    out: list[NDArray[np.int64]] = []
    for k in range(classes):
        mine = np.flatnonzero(labels == k)
        if len(mine) >= LARGE:
            order = torch.randperm(len(mine), generator=generator(seed, "left-out", k)).numpy()
            out.append(mine[order[: min(MOST_LEFT_OUT, int(LEFT_OUT * len(mine)))]])
    gone = np.sort(np.concatenate(out)) if out else np.zeros(0, dtype=np.int64)
    return Split(np.setdiff1d(np.arange(len(labels)), gone), gone)


def train_network(
    vectors: NDArray[np.float64],
    labels: NDArray[np.int64],
    names: Sequence[str],
    folder: Path,
    how: FitSettings,
    tell: Tell,
) -> Run:
    """A network of the vectors (N, D) in the run folder ``folder``; one that was begun there goes on.

    Raises:
        KeyboardInterrupt: a stop was asked (:func:`stopped_by`); a checkpoint is there.
    """
    data = Dataset(vectors.astype(np.float32), labels, tuple(names), "table")
    config = how.training(len(labels))
    begun = Run.open(folder).config.steps if Run.exists(folder) else None
    if how.max_seconds is not None and begun is not None:
        config = with_steps(config, begun)
    elif how.max_seconds is not None:
        config = within_seconds(config, estimate(data, config).seconds_per_step, how.max_seconds)
    for progress in train(data, folder, config, _stop.get()):
        tell(progress)
        if progress.event == "stopped":
            raise KeyboardInterrupt
    return Run.open(folder)


@torch.no_grad()
def weigh(base: Denoiser, network: Denoiser, x: Tensor, y: Tensor, seed: int, draws: int = DRAWS) -> Tensor:
    """Weights (K,) of the network for each class, from rows (n, D) float64 and labels (n,) that neither has seen."""
    weights = torch.zeros(base.num_classes, dtype=torch.float64)
    for k in sorted(set(y.tolist())):
        rows = x[y == k]
        losses = torch.stack([_losses(base, network, rows, k, generator(seed, "weigh", k, i)) for i in range(draws)])
        weights[k] = _best_weight(losses.mean(0))
    return weights


def _losses(base: Denoiser, network: Denoiser, rows: Tensor, k: int, random: torch.Generator) -> Tensor:
    """Denoising losses (weights, n) of the mixtures on one noisy version of the rows (n, D) of class k."""
    y = torch.full((len(rows),), k, dtype=torch.int64)
    spread = float(torch.as_tensor(network.data_std).mean())
    t = draw_times("lognormal", len(rows), base.process, spread, random).double()
    batch = noised(base.process, rows, y, y, t, torch.randn(rows.shape, generator=random, dtype=torch.float64))
    plain = base.predict(batch.x_t, batch.t, y).x0
    toward = network.predict(batch.x_t, batch.t, y).x0 - plain
    log_snr, rate = (expand(value, rows) for value in (base.process.log_snr(t), base.process.log_snr_rate(t)))
    weight = x0_weight("edm", log_snr, network.data_std, 5.0, rate)
    return torch.stack([per_sample(weight * (plain + w * toward - rows).square()) for w in WEIGHTS])


def _best_weight(losses: Tensor) -> float:
    """The best weight from losses (weights, n), or 0 where that is not clearly behind."""
    mean = losses.mean(1)
    best = int(mean.argmin())
    behind = losses[0] - losses[best]
    allowed = max(GAIN * float(mean[best]), ERRORS * float(behind.std()) / math.sqrt(len(behind)))
    return WEIGHTS[best] if float(behind.mean()) > allowed else 0.0
