"""From an evaluation to the records of a quality page.

Law: the page shows the figures of the evaluation as they are: a figure that is not given stays so, with its reason, and the
headline measure is the one by which the sentences name the worst class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from evenscore.data import Dataset
from evenscore.evaluation.evaluate import Evaluation
from evenscore.evaluation.kept import Kept, nearest_rows
from evenscore.evaluation.settings import ASKABLE
from evenscore.evaluation.words import HEADLINE, copies_sentence, sentences, shown, worst_sentence
from evenscore.evaluation.words import said as said_of
from evenscore.metrics.base import Figure, Protocol
from evenscore.report.quality import ClassPictures, CopyPair, Measure, MethodReport, Part, QualityReport, Section, Value
from evenscore.report.records import Images

SHOWN = 16
"""Images of each kind that a page shows of a class at most."""
WORST = Part("worst", "worst class")
UNSAID = ("reference_kind", "feature_digests", "groups_by", "sampler", "nfe", "guidance", "reference_data")
"""Settings of a protocol that are said elsewhere, or that nobody reads."""


@dataclass(frozen=True, eq=False)
class Context:
    """What an evaluation does not know and a page shows.

    Attributes:
        command: the command line.
        created: when, in words.
        facts, settings: of the run that made the samples, name -> words.
        curves: title -> name of a line -> (step, value) pairs.
        pictures, copies, real: as the records of the page have them.
    """

    command: str
    created: str
    facts: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    curves: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]] = field(default_factory=dict)
    pictures: tuple[ClassPictures, ...] = ()
    copies: tuple[CopyPair, ...] = ()
    real: Mapping[str, Images] = field(default_factory=dict)


def quality_report(found: Evaluation, context: Context) -> QualityReport:
    """The records of a page about one evaluation."""
    name = Path(found.name).resolve().name
    figures = figures_of(found)
    method = MethodReport(
        name,
        figures,
        facts=context.facts,
        settings=context.settings,
        pictures=context.pictures,
        curves=context.curves,
        copies=context.copies,
    )
    return QualityReport(
        title=f"Quality of {name}",
        source=str(found.protocol.settings.get("copies_among", found.protocol.reference)),
        created=context.created,
        command=context.command,
        summary=summary(found),
        measures=measures_of(found),
        parts=parts_of(found),
        sections=(Section("Quality by class", (next(sentences(found)),), (method,)),),
        real=context.real,
        protocol=protocol_words(found.protocol),
        notes=found.notes,
        thresholds=(found.protocol.head, found.protocol.tail),
    )


def summary(found: Evaluation) -> tuple[str, ...]:
    """What a reader wants to know first: the worst class, the groups, copies."""
    head = _order(found)[0]
    said = [worst_sentence(head, found)] if head in found.measured.worst else []
    groups = [
        f"{group} {said_of(figures[head])}" for group, figures in found.measured.by_group.items() if head in figures
    ]
    if len(groups) > 1:
        said.append(f"By group, {shown(head, found)} is: {'; '.join(groups)}.")
    if found.memorisation is not None:
        said.append(copies_sentence(found))
    return tuple(said) or (next(sentences(found)),)


def measures_of(found: Evaluation) -> tuple[Measure, ...]:
    """What was measured, the headline first."""
    return tuple(Measure(key, shown(key, found), ASKABLE[key].direction, ASKABLE[key].words) for key in _order(found))


def figures_of(found: Evaluation) -> dict[str, tuple[Value, ...]]:
    """Key of each measure -> one value for each part."""
    parts = parts_of(found)
    return {key: tuple(_value(found, part, key) for part in parts) for key in _order(found)}


def parts_of(found: Evaluation) -> tuple[Part, ...]:
    """All samples, the worst class, the groups that have samples, every class in the order of its label."""
    groups = {k: group for group, members in found.measured.grouping.classes().items() for k in members}
    counts = found.measured.grouping.counts
    classes = (Part("class", name, groups[k], counts[k]) for k, name in enumerate(found.class_names))
    return (Part("all", "all"), WORST, *(Part("group", group) for group in found.measured.by_group), *classes)


def protocol_words(protocol: Protocol) -> dict[str, str]:
    """The protocol, name -> words."""
    words = {
        "features": f"{protocol.features}, {protocol.dimension} numbers a sample",
        "reference": f"{protocol.reference}, {_counted(protocol.reference_counts)}",
        "generated": _counted(protocol.counts),
        "sampler": protocol.sampler,
        "intervals": f"95 %, {protocol.replicates} replicates",
        "neighbours": f"{protocol.neighbours}, of precision, recall, density and coverage",
        "pairs": f"measures of pairs see at most {protocol.most:,} samples of a side",
        "seed": f"{protocol.seed}",
    }
    more = {key.replace("_", " "): _plain(value) for key, value in protocol.settings.items() if key not in UNSAID}
    return {key: value for key, value in (words | more).items() if value}


def gathered(
    found: Evaluation, kept: Kept, learned: Dataset, real: Dataset
) -> tuple[tuple[ClassPictures, ...], tuple[CopyPair, ...], dict[str, Images]]:
    """Pictures by class, the most suspicious pairs, and some real images; nothing of vectors."""
    if real.kind != "image":
        return (), (), {}
    pictures = []
    for name in found.class_names:
        made = kept.images(kept.first.get(name, ()))
        if len(made):
            pictures.append(ClassPictures(name, made, learned.values[nearest_rows(made, learned)]))
    some = {name: real.values[real.of_class(k)[:SHOWN]] for k, name in enumerate(real.class_names)}
    return tuple(pictures), tuple(_pairs(found, kept, learned)), some


def _pairs(found: Evaluation, kept: Kept, learned: Dataset) -> Iterator[CopyPair]:
    for pair in found.memorisation.pairs if found.memorisation is not None else ():
        images = np.concatenate([kept.images([pair.sample]), learned.values[pair.training : pair.training + 1]])
        yield CopyPair(found.class_names[pair.label], images, pair.ratio, pair.is_copy)


def _order(found: Evaluation) -> list[str]:
    """Keys of the measures, the headline first."""
    every = dict.fromkeys([*found.metrics, *found.measured.whole])
    every.update(dict.fromkeys(key for figures in found.measured.by_class.values() for key in figures))
    head = next((key for key in HEADLINE if key in found.measured.worst), None)
    return ([head] if head else []) + [key for key in every if key != head]


def _value(found: Evaluation, part: Part, key: str) -> Value:
    measured = found.measured
    if part.kind == "worst":
        worst = measured.worst.get(key)
        return _of(worst.figure, f"class {found.class_names[worst.label]}") if worst else Value(None)
    if part.kind == "class":
        figures = measured.by_class.get(found.class_names.index(part.name))
        if figures is None:
            return Value(None, note="there are no generated samples")
    else:
        figures = measured.whole if part.kind == "all" else measured.by_group[part.name]
    return _of(figures[key]) if key in figures else Value(None)


def _of(figure: Figure, note: str = "") -> Value:
    return Value(figure.value, figure.low, figure.high, note or figure.note)


def _counted(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    each = f"{low:,} of each class" if low == high else f"from {low:,} to {high:,} of a class"
    return f"{sum(counts):,} samples, {each}"


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_plain(each)}" for key, each in value.items())
    return "" if value is None else str(value)
