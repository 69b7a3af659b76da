"""Evaluation: generated samples against real ones, for the whole set, by group, by class and of the worst class.

Law: a figure stands with its interval, its numbers of samples and the protocol that it was measured under. Samples are seen
once, batch by batch, by whichever process; what stays are their features, in a file where they are very many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from evenscore.data import Dataset
from evenscore.errors import UsageError
from evenscore.evaluation.bits import Bits, chosen
from evenscore.evaluation.generated import Generated, check_classes, check_shape
from evenscore.evaluation.look import Looked, Report, columns_of, look
from evenscore.evaluation.settings import AGREEMENT, ASKABLE, COPIES, LIKELIHOOD, Settings, reference_kind
from evenscore.features import Cache, View, reference_part, reference_seen, views
from evenscore.likelihood import Likelihood
from evenscore.metrics.agreement import wilson
from evenscore.metrics.base import METRICS, Figure, Protocol
from evenscore.metrics.measure import Grouping, Measured, Plan, Samples, Worst, measure, worst_class
from evenscore.metrics.memorisation import Copied, Memorisation, MemorisationFinder
from evenscore.random import derive_seed
from evenscore.ranks import current
from evenscore.sampling import ONE_STEP

NOTHING = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was found.

    Attributes:
        name: what was evaluated.
        class_names: K names.
        metrics: the measures, in the order asked for; figures may hold the kernel distance beside them, where it stands in.
        measured: the figures.
        protocol: everything chosen that changes a figure.
        memorisation: copies of training samples, with the most suspicious pairs; None where not asked for.
        notes: what a reader has to know.
    """

    name: str
    class_names: tuple[str, ...]
    metrics: tuple[str, ...]
    measured: Measured
    protocol: Protocol
    memorisation: Memorisation | None
    notes: tuple[str, ...]


def evaluate(
    generated: Generated,
    reference: Dataset,
    settings: Settings | None = None,
    *,
    trained_on: Dataset | None = None,
    cache: Cache | None = None,
    report: Report = lambda done, total: None,
) -> Evaluation:
    """Judge generated samples against real ones.

    Args:
        generated: the samples.
        reference: real data with the same classes.
        settings: how.
        trained_on: the data that the samples were learned from, among which copies are searched; the training part of the
            reference when None.
        cache: where fitted networks and features of references are kept; the user's when None.
        report: told (done, total) samples after each batch.

    Raises:
        UsageError: an unknown name, or measures that the features do not allow.
        DataError: classes or shapes that do not fit, an empty class, or a file that cannot be used.
    """
    settings, cache = settings or Settings(), cache or Cache()
    generated = generated.matched(reference)
    part = settings.part_of(reference)
    real = reference_part(reference, part)
    check_likelihood(generated, real, settings)
    learned = reference if trained_on is None else _matched(trained_on, reference)
    found = (settings.features, reference, part, settings.seed, cache, settings.fit_steps)
    maps = current().lead(lambda: views(*found)) or views(*found)  # what the first has fitted is in the cache
    metrics = settings.chosen(maps[0].features.own_classes)
    copied = _copied(learned, reference, settings.seed) if COPIES.name in metrics else None
    rows = chosen(real, settings.likelihood_per_class, settings.seed) if LIKELIHOOD.name in metrics else NOTHING
    looked = look(generated, maps, copied, lambda done, total: report(done, total + len(rows)), metrics)
    grouping = _grouping(generated, learned, settings)
    plan = Plan(seed=settings.seed, replicates=settings.replicates, stream=generated.name)
    asked = tuple(name for name in metrics if name in METRICS)
    measured = merged(
        [measure(asked, _samples(looked, i), _real(view, real, cache), grouping, plan) for i, view in enumerate(maps)]
    )
    memory = None if copied is None else copied.result()
    others: dict[str, OfClasses] = {} if copied is None else {COPIES.name: _shares(_of_copies(copied))}
    if AGREEMENT.name in metrics:
        others[AGREEMENT.name] = _shares(_of_agreement(looked, reference.num_classes))
    if LIKELIHOOD.name in metrics:
        others[LIKELIHOOD.name] = _bits(generated, real, rows, settings, report).figure
    measured = with_others(measured, others, metrics)
    protocol = _protocol(generated, real, part, maps, looked, grouping, plan, reference, learned)
    protocol = replace(protocol, settings={**protocol.settings, **settings.likelihood(metrics, part)})
    return Evaluation(
        generated.name,
        reference.class_names,
        metrics,
        measured,
        protocol,
        memory,
        _notes(generated, maps, learned, copied) + settings.likelihood_notes(metrics, part),
    )


def _samples(looked: Looked, i: int) -> Samples:
    return Samples(looked.features[i], looked.labels, looked.probabilities[i] if looked.probabilities else None)


def _real(view: View, real: Dataset, cache: Cache) -> Samples:
    seen = reference_seen(view, real, cache)
    return Samples(seen.features, real.labels[view.rows], seen.probabilities)


def merged(found: Sequence[Measured]) -> Measured:
    """Figures under several views as one: the mean of values and of the ends of intervals."""
    if len(found) == 1:
        return found[0]
    by_group = {g: _merge([m.by_group[g] for m in found]) for g in found[0].by_group}
    by_class = {k: _merge([m.by_class[k] for m in found]) for k in found[0].by_class}
    worst = {name: w for name in found[0].whole if (w := worst_class(METRICS[name], _complete(by_class, name)))}
    return Measured(_merge([m.whole for m in found]), by_group, by_class, worst, found[0].grouping)


def _complete(by_class: Mapping[int, Mapping[str, Figure]], name: str) -> dict[int, Mapping[str, Figure]]:
    """The classes that have a figure of this measure."""
    return {k: figures for k, figures in by_class.items() if name in figures}


def _merge(found: Sequence[Mapping[str, Figure]]) -> dict[str, Figure]:
    names = [name for name in found[0] if all(name in figures for figures in found)]
    return {name: _mean([figures[name] for figures in found]) for name in names}


def _mean(figures: Sequence[Figure]) -> Figure:
    """One figure of several: none where one is refused."""
    refused = next((figure for figure in figures if figure.value is None), None)
    reference_n = sum(figure.reference_n for figure in figures)
    if refused is not None:
        return replace(refused, reference_n=reference_n)
    columns = ([getattr(figure, key) for figure in figures] for key in ("value", "low", "high"))
    value, low, high = (None if None in column else float(np.mean(column)) for column in columns)
    return Figure(value, low, high, figures[0].n, reference_n, figures[0].note)


Counts = Sequence[tuple[int, int]]
"""Of each class: samples that count, and all samples."""
OfClasses = Callable[[Sequence[int]], Figure]
"""A figure of some classes together."""


def check_likelihood(generated: Generated, real: Dataset, settings: Settings) -> None:
    """Refuse a likelihood that is not there, or that is not one of held-out samples.

    Raises:
        UsageError: it was asked for samples without a run, or of the run's own training samples.
    """
    if LIKELIHOOD.name not in (settings.metrics or ()):
        return
    if generated.bits is None:
        raise UsageError(
            f"a likelihood is that of a run, and {generated.name} holds samples only: leave likelihood out of the metrics, or "
            "give the run that made them"
        )
    if real.fingerprint == generated.learned_from:
        raise UsageError(
            f"a likelihood is that of held-out samples, and {generated.name} was trained on those of {real.name}: give a "
            "reference with a held-out part, or leave likelihood out of the metrics"
        )


def _bits(generated: Generated, real: Dataset, rows: NDArray[np.int64], settings: Settings, report: Report) -> Bits:
    """Bits per dimension of the chosen real samples under the run."""
    assert generated.bits is not None
    before, found = sum(generated.counts), torch.empty(0, dtype=torch.float64)
    for part in generated.bits(real, rows, Likelihood(settings.tolerance), derive_seed(settings.seed, "likelihood")):
        found = torch.cat([found, part])
        report(before + len(found), before + len(rows))
    return Bits(found, torch.from_numpy(real.labels[rows]))


def _of_copies(copied: Copied) -> Counts:
    return list(zip(copied.copies, copied.seen, strict=True))


def _of_agreement(looked: Looked, num_classes: int) -> Counts:
    """Samples whose most probable class, by the mean probability of all views, is their own."""
    return list(zip(looked.right.tolist(), torch.bincount(looked.labels, minlength=num_classes).tolist(), strict=True))


def with_others(measured: Measured, others: Mapping[str, OfClasses], order: Sequence[str]) -> Measured:
    """The figures with others among them, in the order of ``order``; what that does not name comes last."""
    groups = measured.grouping.classes()

    def joined(figures: Mapping[str, Figure], members: Sequence[int]) -> dict[str, Figure]:
        every = {**figures, **{name: of(members) for name, of in others.items()}}
        names = [name for name in order if name in every]
        return {name: every[name] for name in [*names, *(n for n in every if n not in names)]}

    by_class = {k: joined(figures, (k,)) for k, figures in measured.by_class.items()}
    by_group = {g: joined(figures, [k for k in groups[g] if k in by_class]) for g, figures in measured.by_group.items()}
    worst: dict[str, Worst] = dict(measured.worst)
    for name in (n for n in dict.fromkeys(n for figures in by_class.values() for n in figures) if n not in worst):
        found = worst_class(ASKABLE[name], _complete(by_class, name))
        worst |= {} if found is None else {name: found}
    return Measured(joined(measured.whole, list(by_class)), by_group, by_class, worst, measured.grouping)


def _shares(counts: Counts) -> OfClasses:
    return lambda members: _share([counts[k] for k in members])


def _share(counts: Counts) -> Figure:
    right, n = (sum(column) for column in zip(*counts, strict=True))
    low, high = wilson(right, n)
    return Figure(right / n, low, high, n, 0)


def _matched(data: Dataset, reference: Dataset) -> Dataset:
    """Training data with labels in the order of the reference's classes."""
    check_classes(data.name, data.class_names, reference)
    check_shape(data.name, data.shape, reference)
    if data.class_names == reference.class_names:
        return data
    place = np.array([reference.class_names.index(name) for name in data.class_names])
    test = (
        None
        if data.test is None
        else replace(data.test, labels=place[data.test.labels], class_names=reference.class_names)
    )
    return replace(data, labels=place[data.labels], class_names=reference.class_names, test=test)


def _copied(learned: Dataset, reference: Dataset, seed: int) -> Copied:
    held = learned.test if learned.test is not None else reference.test
    held_out = None if held is None else (held.tensor(), torch.from_numpy(held.labels))
    x, y = learned.tensor(), torch.from_numpy(learned.labels)
    return MemorisationFinder(x, y, learned.num_classes, held_out=held_out, seed=seed).count()


def _grouping(generated: Generated, learned: Dataset, settings: Settings) -> Grouping:
    """Groups by the counts that the samples were learned from, as far as they are known."""
    return Grouping(generated.trained_counts or learned.distribution.counts, settings.head, settings.tail)


def _protocol(
    generated: Generated,
    real: Dataset,
    part: str,
    maps: Sequence[View],
    looked: Looked,
    grouping: Grouping,
    plan: Plan,
    reference: Dataset,
    learned: Dataset,
) -> Protocol:
    made = generated.made
    sampler = (
        f"{made['sampler']}, {made['nfe']} evaluations, guidance {made['guidance']:g}" if "sampler" in made else ""
    )
    if made.get("sampler") == ONE_STEP.solver:
        sampler = f"{ONE_STEP.solver}, one evaluation"
    settings: dict[str, Any] = {
        "reference_kind": reference_kind(reference, part),
        "reference_data": reference.name,
        "reference_fingerprint": real.fingerprint,
        "views": len(maps),
        "feature_digests": [view.features.key for view in maps],
        "copies_among": learned.name,
        "groups_by": list(grouping.counts),
        **made,
    }
    return Protocol(
        features=maps[0].features.name,
        dimension=columns_of(looked.features[0]),
        reference=f"{reference.name} ({settings['reference_kind']})",
        counts=generated.counts,
        reference_counts=real.distribution.counts,
        head=grouping.head,
        tail=grouping.tail,
        seed=plan.seed,
        replicates=plan.replicates,
        most=plan.most,
        neighbours=plan.neighbours,
        sampler=sampler,
        settings=settings,
    )


def _notes(generated: Generated, maps: Sequence[View], learned: Dataset, copied: Copied | None) -> tuple[str, ...]:
    def every() -> Iterator[str]:
        yield from generated.notes
        if len(maps) > 1:
            yield (
                "the features were fitted on halves of the reference and used on the other half: figures are means of the two, "
                "each against half of the reference"
            )
        if copied is not None:
            found = copied.finder.calibration
            yield (
                f"copies are searched among {len(learned)} training samples of {learned.name}; real samples ({found.source}, "
                f"{found.n}) are called copies in {found.false_alarms:.1%} of cases"
            )

    return tuple(every())
