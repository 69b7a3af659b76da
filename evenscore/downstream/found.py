"""What a comparison found: recalls by row, class and seed, and paired differences between rows.

A figure is a mean of recalls of classes on the held-out part: of all classes (balanced accuracy), of a group, or of one class;
the worst class is the smallest recall of each seed. Differences are paired by seed, with Student's 95 % interval over seeds,
which says nothing of the choice of the held-out samples. Recalls come in steps of one test sample: an interval is never taken
from a standard deviation below that of rounding both sides to whole samples, so that two seeds which happen to agree do not
give an interval without width.

Law: figures follow from the numbers of rightly classified test samples alone; a class without test samples is in no mean.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from scipy.stats import t as student

from evenscore.downstream.methods import REAL
from evenscore.downstream.parts import Part
from evenscore.labels import GROUPS
from evenscore.metrics.interval import paired_student

MEAN, WORST = "mean", "worst"
Values = tuple[float, ...]
"""One value for each seed."""


@dataclass(frozen=True)
class Facts:
    """What the figures are of.

    Attributes:
        data: name of the real data.
        synthetic: name of the folder or archive of synthetic samples.
        class_names: K names.
        groups: ``head``, ``medium`` or ``tail`` of each class.
        counts: real training samples of each class.
        available: synthetic samples of each class that there are.
        test_counts: held-out samples of each class.
        seeds: of the trainings.
        ratios: of each row, None for rows without synthetic data.
        classifier: in words.
        settings: all settings, in terms of JSON.
        notes: what a reader has to know.
    """

    data: str
    synthetic: str
    class_names: tuple[str, ...]
    groups: tuple[str, ...]
    counts: tuple[int, ...]
    available: tuple[int, ...]
    test_counts: tuple[int, ...]
    seeds: tuple[int, ...]
    ratios: Mapping[str, float | None]
    classifier: str
    settings: Mapping[str, Any]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class RowFigures:
    """One row of the table.

    Attributes:
        name: of the row.
        ratio: of synthetic samples, None without.
        synthetic: synthetic samples of each class that it was trained on.
        figures: values by name: ``mean``, the groups that have classes, ``worst``.
        classes: values of each class, None where it has no test samples.
    """

    name: str
    ratio: float | None
    synthetic: tuple[int, ...]
    figures: Mapping[str, Values]
    classes: tuple[Values | None, ...]

    @property
    def mean(self) -> float:
        """Balanced accuracy, the mean over seeds."""
        return fmean(self.figures[MEAN])


@dataclass(frozen=True)
class Difference:
    """A mean difference of paired values, with its 95 % interval; without one when there is one seed."""

    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Against:
    """How a row differs from another: by figure, and of each class (None without test samples)."""

    figures: Mapping[str, Difference]
    classes: tuple[Difference | None, ...]


@dataclass(frozen=True)
class Found:
    """Everything that was found.

    Attributes:
        facts: what it is of.
        rows: in the order of the table.
        best_without: the row without synthetic data that has the best mean.
        best_with, worst_with: the synthetic rows that have the best and the worst mean.
        against: row -> base -> how the row differs from it: every row from ``real``, synthetic rows from ``best_without``, and
            from ``over-sampled`` where that was measured.
    """

    facts: Facts
    rows: Mapping[str, RowFigures]
    best_without: str
    best_with: str
    worst_with: str
    against: Mapping[str, Mapping[str, Against]]


def gather(facts: Facts, parts: Mapping[str, Sequence[Part]], also: Sequence[str] = ()) -> Found:
    """Figures and differences from all parts of all rows.

    Args:
        facts: what they are of.
        parts: by row, in order of the seeds.
        also: further rows that synthetic rows are compared with.
    """
    rows = {name: figures_of(name, found, facts) for name, found in parts.items()}
    without = [row for row in rows.values() if row.ratio is None]
    made = [row for row in rows.values() if row.ratio is not None]
    best_without = max(without, key=lambda row: row.mean).name
    bases = dict.fromkeys([best_without, *(name for name in also if name in rows)])
    against = {
        name: {
            base: compare(row, rows[base], facts)
            for base in dict.fromkeys([REAL, *(bases if row.ratio is not None else ())])
            if base != name
        }
        for name, row in rows.items()
    }
    best, worst = max(made, key=lambda row: row.mean), min(made, key=lambda row: row.mean)
    return Found(facts, rows, best_without, best.name, worst.name, against)


def figures_of(name: str, parts: Sequence[Part], facts: Facts) -> RowFigures:
    """The figures of one row."""
    recalls = [recalls_of(part, facts.test_counts) for part in parts]
    members = members_of(facts)
    figures = {key: tuple(fmean(recall[k] for k in classes) for recall in recalls) for key, classes in members.items()}
    figures[WORST] = tuple(min(recall[k] for k in members[MEAN]) for recall in recalls)
    classes = tuple(tuple(recall[k] for recall in recalls) if n else None for k, n in enumerate(facts.test_counts))
    return RowFigures(name, facts.ratios[name], parts[0].synthetic, figures, classes)


def members_of(facts: Facts) -> dict[str, list[int]]:
    """The classes with test samples that a mean is over: ``mean``, and the groups that have any."""
    present = [k for k, n in enumerate(facts.test_counts) if n]
    groups = {group: [k for k in present if facts.groups[k] == group] for group in GROUPS}
    return {MEAN: present, **{group: classes for group, classes in groups.items() if classes}}


def recalls_of(part: Part, test_counts: Sequence[int]) -> dict[int, float]:
    """Share of the test samples of each class that were given their class, by class."""
    return {k: part.right[k] / n for k, n in enumerate(test_counts) if n}


def compare(row: RowFigures, base: RowFigures, facts: Facts) -> Against:
    """How ``row`` differs from ``base``."""
    tests, members = facts.test_counts, members_of(facts)
    rounding = {key: rounding_of([tests[k] for k in classes]) for key, classes in members.items()}
    rounding[WORST] = max(rounding_of([tests[k]]) for k in members[MEAN])
    figures = {key: paired(row.figures[key], base.figures[key], rounding[key]) for key in row.figures}
    classes = tuple(
        None if mine is None or theirs is None else paired(mine, theirs, rounding_of([n]))
        for mine, theirs, n in zip(row.classes, base.classes, tests, strict=True)
    )
    return Against(figures, classes)


def rounding_of(tests: Sequence[int]) -> float:
    """Standard deviation that a difference of mean recalls has from rounding both to whole test samples of each class.

    A value that is rounded to steps of 1 / n is off by a uniform error of variance 1 / (12 n^2).
    """
    return math.sqrt(sum(2 / (12 * n * n) for n in tests)) / len(tests)


def paired(first: Values, second: Values, rounding: float) -> Difference:
    """The mean of first minus second; Student's interval from two seeds on, cut at -1 and 1.

    Args:
        first, second: values by seed, in one order.
        rounding: smallest standard deviation that the differences are taken to have.
    """
    if len(first) < 2:
        return Difference(first[0] - second[0], None, None)
    mean, interval = paired_student(first, second)
    least = float(student.ppf(0.975, len(first) - 1)) * rounding / math.sqrt(len(first))
    half = max(interval.high - mean, least)
    return Difference(mean, max(-1.0, mean - half), min(1.0, mean + half))
