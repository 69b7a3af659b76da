"""Measures for the whole set, by group, by class and of the worst class: every figure with its interval.

Law: the figures depend on the samples and the seed, not on the order of samples. A class is compared with the reference's
samples of that class, a group with those of its classes. Measures of pairs see at most ``most`` samples of a side, drawn
by seed, and the figure says so. Where a Frechet distance is refused because there are too few samples, the kernel
distance, which is unbiased at every size, stands in its place, asked for or not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from evenscore.errors import DataError, UsageError
from evenscore.labels import GROUPS, LabelDistribution
from evenscore.metrics.base import METRICS, Figure, Metric, as_matrix, find_metric
from evenscore.metrics.energy import energy_estimate
from evenscore.metrics.frechet import frechet_estimates
from evenscore.metrics.inception_score import SPLITS, inception_estimate
from evenscore.metrics.interval import REPLICATES, Estimate, Resampling, normal, share
from evenscore.metrics.kernel import kernel_estimate
from evenscore.metrics.neighbourhood import neighbourhood_estimates
from evenscore.metrics.order import at_most, canonical, some_of
from evenscore.metrics.prd import CLUSTERS_PER_CLASS, prd_estimates
from evenscore.metrics.stored import Stored, frechet_of_stored
from evenscore.random import generator

MOST = 10_000
"""Samples of a side that measures of pairs see at most."""
SHARES = ("precision", "recall", "coverage")


@dataclass(frozen=True)
class Samples:
    """Samples as measures see them: features (N,D), labels (N,) in 0 .. K-1 and, for some, class probabilities (N,K).

    Features and probabilities of generated samples may be :class:`~evenscore.metrics.stored.Stored`, in a file; then ``index``
    says which rows are meant, and in which order.
    """

    features: Any
    labels: Any
    probabilities: Any = None
    index: Tensor | None = None


@dataclass(frozen=True)
class Grouping:
    """Which class belongs to which group: by counts of training samples, with the thresholds in sight.

    A head class has more than ``head`` training samples, a tail class fewer than ``tail``.
    """

    counts: tuple[int, ...]
    head: int = 100
    tail: int = 20

    def classes(self) -> dict[str, tuple[int, ...]]:
        """The classes of each group that has any."""
        names = LabelDistribution(self.counts).groups(self.head, self.tail)
        found = {group: tuple(k for k, name in enumerate(names) if name == group) for group in GROUPS}
        return {group: members for group, members in found.items() if members}


@dataclass(frozen=True)
class Plan:
    """How is measured: what is part of the protocol.

    Attributes:
        seed, replicates: of resampling (see ``interval``).
        stream: name of the generated set; give sets that are compared different ones.
        most: samples of a side that measures of pairs see at most.
        neighbours: k of precision, recall, density and coverage.
        splits: of the Inception-style score.
    """

    seed: int = 0
    replicates: int = REPLICATES
    stream: str = ""
    most: int = MOST
    neighbours: int = 5
    splits: int = SPLITS


@dataclass(frozen=True)
class Worst:
    """The class with the worst value of a measure."""

    label: int
    figure: Figure


@dataclass(frozen=True)
class Measured:
    """Figures by measure: of the whole set, of each group, of each class, and the worst class by each measure."""

    whole: Mapping[str, Figure]
    by_group: Mapping[str, Mapping[str, Figure]]
    by_class: Mapping[int, Mapping[str, Figure]]
    worst: Mapping[str, Worst]
    grouping: Grouping


def measure(
    metrics: Sequence[str], generated: Samples, reference: Samples, grouping: Grouping, plan: Plan | None = None
) -> Measured:
    """Measure generated samples against a reference, everywhere that there are samples.

    Args:
        metrics: names from :data:`METRICS`.
        generated, reference: with features of one network; the reference needs no probabilities.
        grouping: counts of training samples for K classes.
        plan: how.

    Raises:
        UsageError: an unknown name, or probabilities are needed and not there.
        DataError: features, labels and classes do not fit each other.
    """
    chosen, plan = [find_metric(name) for name in metrics], plan or Plan()
    if generated.probabilities is None and any(metric.needs == "probabilities" for metric in chosen):
        raise UsageError("inception-score needs class probabilities, and these features come without: leave it out")
    sides = tuple(_ordered(side, len(grouping.counts)) for side in (generated, reference))

    def figures(name: str, members: Sequence[int]) -> dict[str, Figure]:
        part = [_of_classes(side, members) for side in sides]
        return measure_part(chosen, part[0], part[1], replace(plan, stream=f"{plan.stream}:{name}"), len(members))

    present = [k for k in range(len(grouping.counts)) if bool((sides[0].labels == k).any())]
    by_class = {k: figures(f"class {k}", (k,)) for k in present}
    groups = {name: tuple(k for k in ks if k in present) for name, ks in grouping.classes().items()}
    by_group = {name: figures(name, ks) for name, ks in groups.items() if ks}
    worst = {name: found for name in metrics if (found := worst_class(METRICS[name], by_class))}
    return Measured(figures("whole", present), by_group, by_class, worst, grouping)


def worst_class(metric: Metric, by_class: Mapping[int, Mapping[str, Figure]]) -> Worst | None:
    """The class with the worst value, the first of equals; None where no class has a value."""
    found: Worst | None = None
    for label, figures in by_class.items():
        figure = figures[metric.name]
        if figure.value is not None and (
            found is None or found.figure.value is None or metric.better(found.figure.value, figure.value)
        ):
            found = Worst(label, figure)
    return found


def measure_part(
    metrics: Sequence[Metric], generated: Samples, reference: Samples, plan: Plan, classes: int
) -> dict[str, Figure]:
    """Figures of one part: the asked measures in their order, then the kernel distance where it stands in."""
    n, m = _count(generated), len(reference.features)
    figures: dict[str, Figure] = {}
    estimates: dict[str, tuple[Estimate, str]] = {}
    for metric in metrics:
        refusal = why_not(metric, n, m, _columns(generated), classes, plan)
        if refusal:
            figures[metric.name] = Figure(None, None, None, n, m, refusal)
            continue
        if metric.name not in estimates:
            estimates |= _family(metric, generated, reference, plan, classes)
        figures[metric.name] = figure_of(metric, *estimates[metric.name], n, m)
    refused = any(metric.family == "frechet" and figures[metric.name].value is None for metric in metrics)
    if refused and "kernel" not in figures:
        figures |= measure_part([METRICS["kernel"]], generated, reference, plan, classes)
    return figures


def why_not(metric: Metric, n: int, m: int, dimension: int, classes: int, plan: Plan) -> str:
    """Why a measure is not given for so many generated and reference samples; empty where it is."""
    fewest, least = (n if metric.needs == "probabilities" else min(n, m)), metric.least_samples(dimension)
    if metric.family == "prd":
        least = max(least, CLUSTERS_PER_CLASS * classes)
    if metric.family == "inception_score":
        least = max(least, plan.splits)
    if metric.family == "neighbourhood":
        least = max(least, 4 * plan.neighbours)
    if fewest >= least:
        return ""
    if metric.family == "frechet":
        return (
            f"{fewest} samples are too few for a Frechet distance of {dimension} features: its bias would be above 5 % of "
            f"the features' variance below {least}; see the kernel distance, which has none"
        )
    return f"{fewest} samples are too few for {metric.name}: it is given from {least} on"


def figure_of(metric: Metric, estimate: Estimate, note: str, n: int, reference_n: int) -> Figure:
    """A figure with its 95 % interval."""
    if len(estimate.replicates) == 0:
        return Figure(estimate.value, None, None, n, reference_n, note)
    of = n if metric.name == "precision" else reference_n
    low, high = share(estimate, of) if metric.name in SHARES else normal(estimate)
    return Figure(estimate.value, max(low, metric.lowest), min(high, metric.highest), n, reference_n, note)


def _family(
    metric: Metric, generated: Samples, reference: Samples, plan: Plan, classes: int
) -> dict[str, tuple[Estimate, str]]:
    """Estimates of all measures of a family, with a note where they saw a subsample."""
    how, note = Resampling(plan.seed, plan.replicates, plan.stream), ""
    if metric.family == "inception_score":
        return {metric.name: (inception_estimate(_held(generated.probabilities, generated), how, plan.splits), note)}
    x, y, n = generated.features, reference.features, _count(generated)
    if metric.family == "frechet":
        found = frechet_estimates(x, y, how) if not isinstance(x, Stored) else _frechet(generated, y, how)
        return {name: (estimate, note) for name, estimate in found.items()}
    rows = None
    if max(n, len(y)) > plan.most:
        note = f"on {min(n, plan.most)} generated and {min(len(y), plan.most)} reference samples"
        rows = some_of(n, plan.most, generator(plan.seed, "most", "generated", plan.stream))
        y = at_most(y, plan.most, generator(plan.seed, "most", "reference"))
    x = _held(x, generated, rows)
    return {name: (estimate, note) for name, estimate in _PAIRED[metric.family](x, y, how, plan, classes).items()}


def _count(side: Samples) -> int:
    return len(side.features) if side.index is None else len(side.index)


def _columns(side: Samples) -> int:
    return side.features.columns if isinstance(side.features, Stored) else int(side.features.shape[1])


def _frechet(side: Samples, y: Tensor, how: Resampling) -> dict[str, Estimate]:
    assert side.index is not None
    return frechet_of_stored(side.features, side.index, y, how)


def _held(values: Any, side: Samples, rows: Tensor | None = None) -> Tensor:
    """Features or probabilities of a side in memory, those at ``rows`` (all where None)."""
    if isinstance(values, Stored):
        assert side.index is not None
        return values.take(side.index if rows is None else side.index[rows])
    held: Tensor = values if rows is None else values[rows]
    return held


def _kernel(x: Tensor, y: Tensor, how: Resampling, plan: Plan, classes: int) -> dict[str, Estimate]:
    return {"kernel": kernel_estimate(x, y, how)}


def _energy(x: Tensor, y: Tensor, how: Resampling, plan: Plan, classes: int) -> dict[str, Estimate]:
    return {"energy": energy_estimate(x, y, how)}


def _neighbourhood(x: Tensor, y: Tensor, how: Resampling, plan: Plan, classes: int) -> dict[str, Estimate]:
    return neighbourhood_estimates(x, y, how, plan.neighbours)


def _prd(x: Tensor, y: Tensor, how: Resampling, plan: Plan, classes: int) -> dict[str, Estimate]:
    return prd_estimates(x, y, how, classes=classes)


Family = Callable[[Tensor, Tensor, Resampling, Plan, int], dict[str, Estimate]]
_PAIRED: Mapping[str, Family] = {"kernel": _kernel, "energy": _energy, "neighbourhood": _neighbourhood, "prd": _prd}


def _ordered(side: Samples, num_classes: int) -> Samples:
    """Checked, as tensors, in the order of values."""
    features: Any = side.features if isinstance(side.features, Stored) else as_matrix(side.features)
    labels = torch.as_tensor(side.labels).long().cpu()
    if labels.shape != (len(features),):
        raise DataError(
            f"{len(features)} samples with labels of shape {tuple(labels.shape)}: give one label for each sample"
        )
    if int(labels.min()) < 0 or int(labels.max()) >= num_classes:
        raise DataError(
            f"labels from {int(labels.min())} to {int(labels.max())} do not fit {num_classes} classes: "
            f"give labels in 0 .. {num_classes - 1}"
        )
    if isinstance(features, Stored):
        order = features.order()
        return Samples(features, labels[order], side.probabilities, order)
    order = canonical(features)
    likely = None if side.probabilities is None else as_matrix(side.probabilities, "class probabilities")[order]
    return Samples(features[order], labels[order], likely)


def _of_classes(side: Samples, members: Sequence[int]) -> Samples:
    kept = torch.isin(side.labels, torch.tensor(members))
    if side.index is not None:
        return Samples(side.features, side.labels[kept], side.probabilities, side.index[kept])
    likely = None if side.probabilities is None else side.probabilities[kept]
    return Samples(side.features[kept], side.labels[kept], likely)


def content_key(x: Any) -> str:
    """SHA-256 of a matrix, by which statistics and features of one set are cached; the order of rows counts."""
    matrix = as_matrix(x)
    return hashlib.sha256(repr(tuple(matrix.shape)).encode() + matrix.numpy().tobytes()).hexdigest()
