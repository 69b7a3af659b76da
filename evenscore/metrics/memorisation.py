"""Memorisation by class: which generated samples are copies of training samples, and how often real ones are called so.

Law: a sample is a copy when its ratio, the distance to a training sample in units of that training sample's scale (see
:mod:`evenscore.metrics.neighbours`), is below the threshold of its class. The threshold is not chosen but calibrated: on
real samples that are no copies it is undercut with a probability of at most :data:`FALSE_ALARMS`. The scale borrows from
the whole training set, so a class of five, whose samples are far from each other, is judged like a class of five hundred.

Real samples to calibrate on are held-out ones, or halves of the training set judged against each other where nothing is
held out. The middle of a training image, all but a frame of one pixel, is compared with the nine windows of that size in a
sample, so that a copy moved by a pixel is as near as one that was not. Larger images are averaged down first.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from evenscore.errors import DataError
from evenscore.metrics.agreement import wilson
from evenscore.metrics.neighbours import Copies, CopyDetector
from evenscore.random import generator

FALSE_ALARMS = 0.005
"""Share of real samples at whose ratio the threshold lies: well below the 0.02 that is promised, because classes differ."""
LARGEST = 0.9
"""No threshold is above it, however far real samples keep from each other."""
SIDE = 32
"""Longest side at which images are compared."""
OWN = 100
"""A class with so many real samples to calibrate on may have a lower threshold of its own."""
FEW, CAUTIOUS = 100, 0.5
"""With fewer real samples to calibrate on no threshold is above this one."""
MOST = 2000
"""Real samples that are calibrated on at most."""
PAIRS = 20


class Pair(NamedTuple):
    """A generated sample and the training sample that it may be a copy of.

    Attributes:
        sample: number of the generated sample.
        training: row of the training sample.
        label: class that the sample was made for.
        ratio: distance in units of the training sample's scale; small is suspicious.
        distance: root mean square difference of values.
        is_copy: whether the ratio is below the threshold of the class.
    """

    sample: int
    training: int
    label: int
    ratio: float
    distance: float
    is_copy: bool


@dataclass(frozen=True)
class Calibration:
    """Thresholds, and how often real samples are called copies at them.

    Attributes:
        thresholds: of each class.
        false_alarms: share of the real samples that are called copies, in sample.
        interval: Wilson 95 % interval of it.
        n: real samples.
        source: ``held-out`` or ``halves``.
    """

    thresholds: tuple[float, ...]
    false_alarms: float
    interval: tuple[float, float]
    n: int
    source: str


@dataclass(frozen=True)
class Memorisation:
    """Shares of copies among generated samples.

    Attributes:
        share: over all samples, with its ``interval`` (Wilson 95 %).
        by_class: of each class, None where it has no samples; ``intervals`` likewise.
        n_by_class: samples of each class.
        calibration: the thresholds.
        pairs: the most suspicious, the smallest ratio first; each training sample stands at most once.
    """

    share: float
    interval: tuple[float, float]
    by_class: tuple[float | None, ...]
    intervals: tuple[tuple[float, float] | None, ...]
    n_by_class: tuple[int, ...]
    calibration: Calibration
    pairs: tuple[Pair, ...]


@dataclass
class Copied:
    """Counts of copies while samples come in; memory does not grow with them.

    Attributes:
        finder: what judges the samples.
        copies: copies of each class so far.
        seen: samples of each class so far.
        pairs: the most suspicious so far.
    """

    finder: MemorisationFinder
    copies: list[int] = field(default_factory=list)
    seen: list[int] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)

    def add(self, x: Tensor, labels: Tensor, numbers: Sequence[int]) -> None:
        """Judge some generated samples (n, ...) of classes ``labels`` (n,); ``numbers`` name them in the pairs."""
        self.take(self.finder.pairs(x, labels, numbers))

    def take(self, found: Sequence[Pair]) -> None:
        """Take in samples that were judged."""
        for pair in found:
            self.seen[pair.label] += 1
            self.copies[pair.label] += pair.is_copy
        best: dict[int, Pair] = {}
        for pair in sorted([*self.pairs, *found], key=lambda pair: (pair.ratio, pair.sample)):
            best.setdefault(pair.training, pair)
        self.pairs = list(best.values())[:PAIRS]

    def result(self) -> Memorisation:
        """What was found.

        Raises:
            DataError: no samples came in.
        """
        if not sum(self.seen):
            raise DataError("no generated samples were given: copies are counted among at least one")
        counts = list(zip(self.copies, self.seen, strict=True))
        return Memorisation(
            share=sum(self.copies) / sum(self.seen),
            interval=wilson(sum(self.copies), sum(self.seen)),
            by_class=tuple(c / n if n else None for c, n in counts),
            intervals=tuple(wilson(c, n) if n else None for c, n in counts),
            n_by_class=tuple(self.seen),
            calibration=self.finder.calibration,
            pairs=tuple(self.pairs),
        )


class MemorisationFinder:
    """Finds copies of training samples at a calibrated rate of false alarms.

    Args:
        x: training samples (N, C, H, W) in [-1, 1] or (N, D).
        y: their labels (N,), int64, in 0 .. K-1.
        num_classes: K.
        held_out: real samples of the same law that are not in ``x`` and their labels, or None.
        seed: of the choice of real samples to calibrate on.

    Raises:
        DataError: fewer than four training samples, all samples alike, or held-out samples of another shape.
    """

    def __init__(
        self, x: Tensor, y: Tensor, num_classes: int, *, held_out: tuple[Tensor, Tensor] | None = None, seed: int = 0
    ) -> None:
        if len(x) < 4:
            raise DataError(f"{len(x)} training samples are too few to tell copies: give at least 4")
        self.num_classes = num_classes
        small = reduced(x)
        self.detector = _detector(small, y)
        if held_out is None:
            ratios, labels, source = *_between_halves(small, y, seed), "halves"
        else:
            ratios, labels, source = *_held_out(self.detector, held_out, seed), "held-out"
        self.calibration = calibrated(ratios, labels, num_classes, source)

    def pairs(self, x: Tensor, labels: Tensor, numbers: Sequence[int]) -> list[Pair]:
        """Each sample (n, ...) of class ``labels`` (n,) with the training sample that it is nearest to by ratio.

        Raises:
            DataError: samples of another shape than the training samples.
        """
        found = compared(self.detector, reduced(x), labels)
        columns = (found.nearest.tolist(), labels.tolist(), found.ratio.tolist(), found.distance.tolist())
        limits = self.calibration.thresholds
        return [
            Pair(int(number), place, k, ratio, distance, ratio < limits[k])
            for number, place, k, ratio, distance in zip(numbers, *columns, strict=True)
        ]

    def count(self) -> Copied:
        """A fresh count, to which samples are added batch by batch."""
        return Copied(self, [0] * self.num_classes, [0] * self.num_classes)


def memorisation(
    x: Tensor,
    y: Tensor,
    samples: Tensor,
    labels: Tensor,
    num_classes: int,
    *,
    held_out: tuple[Tensor, Tensor] | None = None,
    seed: int = 0,
) -> Memorisation:
    """Shares of copies of training samples ``x`` with labels ``y`` among generated ``samples`` with ``labels``, by class.

    The arguments are those of :class:`MemorisationFinder`, which judges samples batch by batch where they do not fit.

    Raises:
        DataError: see :class:`MemorisationFinder`; or no generated samples.
    """
    count = MemorisationFinder(x, y, num_classes, held_out=held_out, seed=seed).count()
    count.add(samples, labels, range(len(samples)))
    return count.result()


def calibrated(ratios: Tensor, labels: Tensor, num_classes: int, source: str) -> Calibration:
    """Thresholds at which at most :data:`FALSE_ALARMS` of real samples with these ``ratios`` (n,) are called copies.

    One threshold serves all classes; a class with at least :data:`OWN` real samples has a lower one of its own where the
    common one would call more of them copies.
    """
    common = min(LARGEST if len(ratios) >= FEW else CAUTIOUS, _quantile(ratios))
    limits = [common] * num_classes
    for k in range(num_classes):
        mine = ratios[labels == k]
        if len(mine) >= OWN:
            limits[k] = min(common, _quantile(mine))
    called = int((ratios.double() < torch.tensor(limits, dtype=torch.float64)[labels]).sum())
    return Calibration(tuple(limits), called / len(ratios), wilson(called, len(ratios)), len(ratios), source)


def _quantile(ratios: Tensor) -> float:
    """The largest threshold below which lie at most the allowed share of ratios: the order statistic after them."""
    allowed = math.floor(FALSE_ALARMS * len(ratios))
    return float(ratios.double().sort().values[allowed])


def reduced(x: Tensor) -> Tensor:
    """Images (n, C, H, W) averaged down to sides of at most :data:`SIDE`; vectors as they are."""
    if x.ndim != 4 or max(x.shape[2:]) <= SIDE:
        return x
    scale = SIDE / max(x.shape[2:])
    return F.interpolate(x, tuple(max(1, round(side * scale)) for side in x.shape[2:]), mode="area")


def windows(x: Tensor) -> list[Tensor]:
    """Images (n, C, H, W) seen through the nine windows that lack two rows and two columns, the middle one first.

    Vectors, and images with a side below 4, are seen as they are.
    """
    if x.ndim != 4 or min(x.shape[2:]) < 4:
        return [x]
    height, width = x.shape[2] - 2, x.shape[3] - 2
    places = sorted(itertools.product(range(3), repeat=2), key=lambda place: place != (1, 1))
    return [x[:, :, top : top + height, left : left + width] for top, left in places]


def _detector(x: Tensor, y: Tensor) -> CopyDetector:
    return CopyDetector(windows(x)[0], y)


def compared(detector: CopyDetector, x: Tensor, labels: Tensor) -> Copies:
    """What the detector of the middles says of samples (n, ...), through the window with the smallest ratio."""
    found = [detector.check(part, labels) for part in windows(x)]
    best = torch.stack([copies.ratio for copies in found]).argmin(0, keepdim=True)
    fields = ("distance", "nearest", "ratio", "is_copy", "same_class")
    stacked = (torch.stack([getattr(copies, name) for copies in found]) for name in fields)
    return Copies(*(values.gather(0, best)[0] for values in stacked))


def _some(x: Tensor, y: Tensor, seed: int, most: int) -> tuple[Tensor, Tensor]:
    """At most ``most`` samples, drawn without replacement."""
    rows = torch.randperm(len(x), generator=generator(seed, "memorisation"))[:most]
    return x[rows], y[rows]


def _held_out(detector: CopyDetector, held_out: tuple[Tensor, Tensor], seed: int) -> tuple[Tensor, Tensor]:
    x, y = _some(*held_out, seed, MOST)
    return compared(detector, reduced(x), y).ratio, y


def _between_halves(x: Tensor, y: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Ratios of each half of the training set (every class halved) against the other, with labels.

    A class of one sample, or one with identical samples only, has no scale of its own and borrows the median.
    """
    order = torch.randperm(len(x), generator=generator(seed, "halves"))
    order = order[torch.argsort(y[order], stable=True)]
    one, other = order[::2], order[1::2]
    ratios, labels = [], []
    for known, judged in ((one, other), (other, one)):
        part, theirs = _some(x[judged], y[judged], seed, MOST // 2)
        ratios.append(compared(_detector(x[known], y[known]), part, theirs).ratio)
        labels.append(theirs)
    return torch.cat(ratios), torch.cat(labels)
