"""What is trained for a learning curve, and on which samples it is judged.

The question is how many samples a class must have, *among classes of other sizes*, until a classifier tells it from them. So
the training sets are long-tailed, as the data are. With sizes n_1 < ... < n_m, training r of a square has n_{(j + r) mod m}
samples of the j-th measured class: after m trainings every class was measured at every size once, each time in another place
of the tail (a Latin square; the default sizes grow geometrically, which is the usual exponential long tail). The order of the
classes is drawn anew for each seed. Classes that are too small to be measured keep what they have, at most n_m samples.

Reducing one class at a time while all others stay whole would ask the same, at as many times the cost as there are classes.
Reducing all classes alike would cost the same and ask another question: in a balanced set a class of 5 competes with classes
of 5 only, which flatters it.

Law: the samples of a class at one size are among those at every larger size of that seed, and none of them is judged. What is
trained depends on the data, the settings and the seed only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evenscore.data import Dataset
from evenscore.errors import DataError, UsageError
from evenscore.metrics import fit_classifier, probabilities
from evenscore.random import derive_seed
from evenscore.records import check

SIZES = (2, 5, 10, 20, 50, 100, 200, 500)
LEAST_TOP = 20
"""Largest size of a curve, at least: below, its end says nothing."""
LEAST_JUDGED = 10
"""Held-out samples that a measured class has, at least."""
ENOUGH_CLASSES, MOST_CLASSES = 3, 20
"""So many classes are measured where there are so many, at most."""
BATCH_SIZE = 64

Rows = NDArray[np.int64]
Learner = Callable[[Tensor, Tensor, int, int, int], Callable[[Tensor], Tensor]]
"""Fits samples (N, *shape) with labels (N,) of K classes, given a seed and a number of steps; the result gives labels (B,)."""


@dataclass(frozen=True)
class CurveSettings:
    """How a learning curve is measured; checked when made.

    Attributes:
        sizes: samples of a class, ascending; None for 2, 5, 10, 20, 50, 100, 200 and 500. Those that too few classes have
            are left out.
        seeds: squares of trainings.
        seed: of the samples, the order of classes and the fits.
        steps: of a fit, of 64 samples each.
        judged: held-out samples of a class that are judged, at most.
        within: what counts as reaching the end of the curve.

    Raises:
        UsageError: a value outside its range.
    """

    sizes: tuple[int, ...] | None = None
    seeds: int = 3
    seed: int = 0
    steps: int = 200
    judged: int = 100
    within: float = 0.05

    def __post_init__(self) -> None:
        if self.seeds < 2:
            raise UsageError(f"{self.seeds} seeds cannot be used: give at least 2, one training says nothing of chance")
        check("steps", self.steps, self.steps >= 1, "at least 1")
        check("judged", self.judged, self.judged >= LEAST_JUDGED, f"at least {LEAST_JUDGED}")
        check("within", self.within, 0 < self.within < 1, "between 0 and 1")
        sizes = SIZES if self.sizes is None else self.sizes
        if len(sizes) < 2 or list(sizes) != sorted(set(sizes)) or sizes[0] < 1:
            listed = ",".join(map(str, sizes)) or "(none)"
            raise UsageError(
                f"sizes {listed} cannot be used: give at least two numbers of samples, ascending, from 1 on"
            )


@dataclass(frozen=True, eq=False)
class Design:
    """Which classes are measured, at which sizes, on which samples.

    Attributes:
        data: training data.
        classes: the measured classes, by their numbers.
        sizes: samples of a class.
        pools: for every class of the data the training samples that may be used.
        judged: for every measured class the samples that are judged.
        source: data that the judged samples are in: the held-out part, or the training data themselves.
    """

    data: Dataset
    classes: tuple[int, ...]
    sizes: tuple[int, ...]
    pools: Mapping[int, Rows]
    judged: Mapping[int, Rows]
    source: Dataset

    @property
    def kept_out(self) -> str:
        """Where the judged samples are from, in words."""
        return "held-out part" if self.source is not self.data else "training samples that were kept out for it"


def design(data: Dataset, settings: CurveSettings) -> Design:
    """Choose classes and sizes.

    The largest size is the largest that three classes have; where no three classes are large enough, two or one do.

    Raises:
        DataError: no class is large enough.
    """
    pools, judged, source = _parts(data, settings)
    sizes = SIZES if settings.sizes is None else settings.sizes
    least = LEAST_TOP if settings.sizes is None else sizes[1]
    able = [k for k in range(data.num_classes) if len(judged[k]) >= LEAST_JUDGED]
    for wanted in range(ENOUGH_CLASSES, 0, -1):
        reached = [n for n in sizes if sum(len(pools[k]) >= n for k in able) >= wanted]
        if reached and reached[-1] >= least:
            measured = sorted(able, key=lambda k: -len(pools[k]))[:MOST_CLASSES]
            classes = tuple(sorted(k for k in measured if len(pools[k]) >= reached[-1]))
            return Design(data, classes, tuple(reached), pools, {k: judged[k] for k in classes}, source)
    raise _too_small(data, least, judged)


def _too_small(data: Dataset, least: int, judged: Mapping[int, Rows]) -> DataError:
    largest = int(np.argmax(data.distribution.counts))
    has = f"{data.class_names[largest]!r}, has {data.distribution.counts[largest]} samples"
    if data.test is None:
        wanted = f"a class of at least {-(-4 * max(least, 3 * LEAST_JUDGED) // 3)} samples"
    else:
        has += f" and {len(judged[largest])} held out"
        wanted = f"a class of at least {least} training and {LEAST_JUDGED} held-out samples"
    return DataError(
        f"no class of {data.name} is large enough for a learning curve (the largest, {has}): give data with {wanted}"
    )


def _parts(data: Dataset, settings: CurveSettings) -> tuple[dict[int, Rows], dict[int, Rows], Dataset]:
    """Training samples and judged samples of every class; without a held-out part a quarter of the class is judged."""
    pools, judged = {}, {}
    for k in range(data.num_classes):
        random = np.random.default_rng(derive_seed(settings.seed, "learning curve", "judged", k))
        mine = random.permutation(data.of_class(k))
        if data.test is None:
            kept = min(settings.judged, len(mine) // 4)
            judged[k], pools[k] = mine[:kept], mine[kept:]
        else:
            judged[k], pools[k] = random.permutation(data.test.of_class(k))[: settings.judged], mine
    return pools, judged, data if data.test is None else data.test


def network(x: Tensor, y: Tensor, num_classes: int, seed: int, steps: int) -> Callable[[Tensor], Tensor]:
    """The small classifier of images and vectors, trained on class-balanced batches."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    fitted = fit_classifier(x.to(device), y.to(device), num_classes, seed=seed, steps=steps, batch_size=BATCH_SIZE)
    return lambda z: probabilities(fitted, z).argmax(1)


@dataclass(frozen=True)
class Turn:
    """One training: for each measured class its size and the share of its judged samples that were recognised."""

    number: int
    total: int
    seed: int
    sizes: Mapping[int, int]
    recall: Mapping[int, float]


def turns(plan: Design, settings: CurveSettings, learner: Learner = network) -> Iterator[Turn]:
    """All trainings, one after another.

    Args:
        plan: what is trained and judged.
        settings: seeds and steps.
        learner: what is trained.
    """
    m, total = len(plan.sizes), settings.seeds * len(plan.sizes)
    index = np.concatenate([plan.judged[k] for k in plan.classes])
    x, y = plan.source.tensor(index), torch.from_numpy(plan.source.labels[index])
    for s in range(settings.seeds):
        random = np.random.default_rng(derive_seed(settings.seed, "learning curve", "square", s))
        place = random.permutation(len(plan.classes))
        order = {k: random.permutation(rows) for k, rows in plan.pools.items()}
        for r in range(m):
            sizes = {k: plan.sizes[(int(place[j]) + r) % m] for j, k in enumerate(plan.classes)}
            rows = np.concatenate([order[k][: sizes.get(k, plan.sizes[-1])] for k in order])
            labels = torch.from_numpy(plan.data.labels[rows])
            seed = derive_seed(settings.seed, "learning curve", "fit", s, r)
            found = learner(plan.data.tensor(rows), labels, plan.data.num_classes, seed, settings.steps)(x)
            recall = {k: float((found[y == k] == k).double().mean()) for k in plan.classes}
            yield Turn(s * m + r + 1, total, s, sizes, recall)


def recalls(plan: Design, found: Sequence[Turn]) -> NDArray[np.float64]:
    """(H, m, S) recall of each measured class at each size and seed."""
    values = np.full((len(plan.classes), len(plan.sizes), 1 + max(turn.seed for turn in found)), np.nan)
    for turn in found:
        for j, k in enumerate(plan.classes):
            values[j, plan.sizes.index(turn.sizes[k]), turn.seed] = turn.recall[k]
    return values
