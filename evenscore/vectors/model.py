"""A model of vectors of unequal classes: a law in closed form for each class, and a learned correction where that helps.

Law: a class that is not corrected is sampled and evaluated in closed form, without a solver; a corrected one by the
solver and by the probability-flow ODE of the same denoiser. Row i of a draw depends on the seed, on i and on its
label alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evenscore.configuration import TrainConfig
from evenscore.denoisers.base import Denoiser
from evenscore.denoisers.class_mixtures import ClassMixtures
from evenscore.denoisers.corrected import Corrected
from evenscore.denoisers.preconditioned import Preconditioned
from evenscore.likelihood import Likelihood, log_prob
from evenscore.process import PROCESSES
from evenscore.run import DataCard
from evenscore.sampling import generate
from evenscore.vectors.correction import Split, Tell, split, train_network, weigh
from evenscore.vectors.errors import denoising_bounds
from evenscore.vectors.laws import fit_laws
from evenscore.vectors.margins import Margins, fit_margins
from evenscore.vectors.settings import WORTH, FitSettings

BATCH = 2048
TOLERANCE = 1e-4
"""Of the probability-flow ODE."""


@dataclass(frozen=True)
class Trained:
    """The network of a model, and the run that it came from.

    Attributes:
        denoiser: with averaged weights, float64.
        config: of the run.
        card: of the run's data.
    """

    denoiser: Preconditioned
    config: TrainConfig
    card: DataCard


@dataclass(frozen=True)
class VectorModel:
    """A fitted model.

    Attributes:
        base: the laws in closed form.
        weights: (K,) of the correction; zeros where there is none.
        trained: the network, None when none was trained.
        margins: maps of single numbers, after which the laws are those above; None for none.
    """

    base: ClassMixtures
    weights: Tensor
    trained: Trained | None = None
    margins: Margins | None = None

    @property
    def denoiser(self) -> Denoiser:
        """The denoiser that is sampled: the base, corrected."""
        if self.trained is None or not bool((self.weights > 0).any()):
            return self.base
        return Corrected(self.base, self.trained.denoiser, self.weights)

    def draw(self, y: Tensor, seed: int, how: FitSettings) -> Tensor:
        """Vectors (n, D), float64, of the labels ``y`` (n,)."""
        out = torch.empty(len(y), self.base.shape[0], dtype=torch.float64)
        plain = self.weights[y] == 0
        numbers = torch.arange(len(y))
        out[plain] = self.base.draw(y[plain], seed, numbers[plain].tolist())
        rest = numbers[~plain]
        batches = generate(
            self.denoiser, y[rest], seed=seed, sampler=how.sampler(), indices=rest.tolist(), batch_size=BATCH
        )
        for batch in batches:
            out[list(batch.indices)] = batch.x.double()
        return out if self.margins is None else self.margins.decode(out, y)

    def log_density(self, x: Tensor, y: Tensor, seed: int = 0) -> Tensor:
        """``log p(x | y)`` (n,), float64, in nats, of vectors (n, D) and labels (n,)."""
        if self.margins is not None:
            plain = replace(self, margins=None).log_density(self.margins.encode(x, y), y, seed)
            return plain + self.margins.log_slope(x, y)
        out = torch.empty(len(x), dtype=torch.float64)
        plain = self.weights[y] == 0
        out[plain] = self.base.clean_log_density(x[plain], y[plain])
        rows = (~plain).nonzero()[:, 0]
        for part in torch.split(rows, BATCH) if len(rows) else ():
            how = Likelihood(tolerance=TOLERANCE)
            out[part] = log_prob(self.denoiser, x[part], y[part], how=how, seed=seed, indices=part.tolist())
        return out

    def bounds(self, x: Tensor, draws: int, seed: int) -> Tensor:
        """Bounds (n, K), float64, of ``log p(x | k)`` by denoising errors, in nats, up to a constant (:mod:`.errors`)."""
        found = denoising_bounds(self.denoiser, x, draws, seed)
        if self.margins is None:
            return found
        for k in self.margins.used.any(1).nonzero()[:, 0].tolist():
            y = torch.full((len(x),), k)
            mapped = denoising_bounds(self.denoiser, self.margins.encode(x, y), draws, seed)
            found[:, k] = mapped[:, k] + self.margins.log_slope(x, y)
        return found


def fit_vectors(
    vectors: NDArray[np.float64],
    labels: NDArray[np.int64],
    names: Sequence[str],
    how: FitSettings,
    wanted: Sequence[int] | None = None,
    tell: Tell = lambda progress: None,
) -> VectorModel:
    """A model of vectors (N, D) of K classes.

    Args:
        vectors: float64, finite.
        labels: (N,) in 0 .. K-1, each class with at least one row.
        names: K names.
        how: settings.
        wanted: classes that will be sampled or evaluated; None for all.
        tell: called after every training step.
    """
    classes = range(len(names)) if wanted is None else wanted
    counts = np.bincount(labels, minlength=len(names))
    process = PROCESSES["vp"]()
    margins = fit_margins(torch.from_numpy(vectors), torch.from_numpy(labels), len(names), how.seed, wanted)
    vectors = margins.encode(torch.from_numpy(vectors), torch.from_numpy(labels)).numpy()
    base = fit_laws(_by_class(vectors, labels, len(names)), process, how.seed, wanted=wanted)
    large = any(counts[k] >= WORTH for k in classes)
    none = torch.zeros(len(names), dtype=torch.float64)
    if how.correction == "never" or (how.correction == "auto" and not large):
        return VectorModel(base, none, None, margins)
    parts = split(labels, len(names), how.seed)
    trained = _train(vectors, labels, names, parts, how, tell)
    if not len(parts.out):
        return VectorModel(base, none, trained, margins)
    apart = fit_laws(_by_class(vectors[parts.kept], labels[parts.kept], len(names)), process, how.seed, wanted=wanted)
    rows, y = torch.from_numpy(vectors[parts.out]), torch.from_numpy(labels[parts.out])
    return VectorModel(base, weigh(apart, trained.denoiser, rows, y, how.seed), trained, margins)


def _by_class(vectors: NDArray[np.float64], labels: NDArray[np.int64], classes: int) -> list[Tensor]:
    return [torch.from_numpy(vectors[labels == k]) for k in range(classes)]


def _train(
    vectors: NDArray[np.float64],
    labels: NDArray[np.int64],
    names: Sequence[str],
    parts: Split,
    how: FitSettings,
    tell: Tell,
) -> Trained:
    """The network, trained in the run folder that was asked for or in one that is thrown away."""
    if how.run is None:
        with tempfile.TemporaryDirectory() as folder:
            return _train(vectors, labels, names, parts, replace(how, run=Path(folder) / "run"), tell)
    run = train_network(vectors[parts.kept], labels[parts.kept], names, how.run, how, tell)
    denoiser = run.denoiser().double()
    denoiser.requires_grad_(False)
    return Trained(denoiser, run.config, run.card)
