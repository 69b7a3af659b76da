"""An evaluation as people read it: sentences, cells of a table, and one JSON object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from evenscore.evaluation.evaluate import Evaluation
from evenscore.evaluation.settings import ASKABLE, COPIES, LIKELIHOOD
from evenscore.metrics.base import METRICS, Figure
from evenscore.metrics.measure import Worst

HEADLINE = ("frechet", "kernel", "energy", "recall", "coverage", "agreement")
"""The worst class is named by the first of these that has figures by class."""


def shown(name: str, found: Evaluation) -> str:
    """The name of a measure for readers: with the features that it was computed in."""
    return METRICS[name].shown(found.protocol.features) if name in METRICS else name


def number(value: float) -> str:
    """Three significant digits; never a tail of noise."""
    return f"{value:.3g}"


def cell(figure: Figure | None) -> str:
    """A value with its interval below it; a dash where there is none."""
    if figure is None or figure.value is None:
        return "-"
    return number(figure.value) + ("" if figure.low is None else f"\n{_span(figure).replace(' to ', '..')}")


def _span(figure: Figure) -> str:
    assert figure.low is not None
    assert figure.high is not None
    return f"{number(figure.low)} to {number(figure.high)}"


def said(figure: Figure) -> str:
    """A value with its interval in one line."""
    if figure.value is None:
        return "not given"
    return number(figure.value) + ("" if figure.low is None else f" ({_span(figure)})")


def sentences(found: Evaluation) -> Iterator[str]:
    """What was found, in words: under what protocol, the worst class, copies, and what is not given and why."""
    protocol, whole = found.protocol, found.measured.whole
    how = f", sampled with {protocol.sampler}" if protocol.sampler else ""
    yield (
        f"{sum(protocol.counts)} samples of {found.name}{how}; {protocol.features} features ({protocol.dimension}); reference "
        f"{protocol.reference}, {sum(protocol.reference_counts)} samples; intervals are 95 %."
    )
    name = next((name for name in HEADLINE if name in found.measured.worst), None)
    if name is not None:
        yield worst_sentence(name, found)
    if found.memorisation is not None:
        yield copies_sentence(found)
    if LIKELIHOOD.name in whole:
        most = protocol.settings["likelihood"]["per_class"]
        yield (
            f"Likelihood: {said(whole[LIKELIHOOD.name])} bits per dimension of {whole[LIKELIHOOD.name].n} held-out samples, at "
            f"most {most} of a class; fewer are likelier, for one class under several runs, not for one class against another."
        )
    for name, figure in whole.items():
        if figure.value is None:
            yield f"{shown(name, found)} of the whole set is not given: {figure.note}."
    yield from refusals(found)


def worst_sentence(name: str, found: Evaluation) -> str:
    """Which class is worst by a measure, and how far that is from the whole."""
    worst, whole = found.measured.worst[name], found.measured.whole.get(name)
    groups = {k: g for g, members in found.measured.grouping.classes().items() for k in members}
    k = worst.label
    count = found.measured.grouping.counts[k]
    better = "lower" if ASKABLE[name].direction == "lower" else "higher"
    beside = f"; the whole set has {said(whole)}" if whole is not None and whole.value is not None else ""
    return (
        f"The worst class by {shown(name, found)} ({better} is better) is {found.class_names[k]!r} ({groups[k]}, trained on "
        f"{count}): {said(worst.figure)}{beside}."
    )


def copies_sentence(found: Evaluation) -> str:
    """How many samples are copies, and of which class most are."""
    memory = found.memorisation
    assert memory is not None
    worst: Worst | None = found.measured.worst.get(COPIES.name)
    low, high = memory.interval
    text = f"Copies of training samples: {memory.share:.1%} of the samples ({low:.1%} to {high:.1%})"
    if worst is None or not worst.figure.value:
        return f"{text}, none in any class." if memory.share == 0 else f"{text}."
    k = worst.label
    return f"{text}, most in class {found.class_names[k]!r}: {worst.figure.value:.1%} of {memory.n_by_class[k]}."


def refusals(found: Evaluation) -> Iterator[str]:
    """Measures that some classes are too small for, with the reason once."""
    for name in found.metrics:
        lacking = [
            k for k, figures in found.measured.by_class.items() if name in figures and figures[name].value is None
        ]
        if lacking:
            note = found.measured.by_class[lacking[0]][name].note
            yield f"{shown(name, found)} is not given for {len(lacking)} of {len(found.class_names)} classes: {note}."


def to_dict(found: Evaluation) -> dict[str, Any]:
    """Everything that was found, in terms of JSON."""
    measured, names = found.measured, found.class_names
    groups = {k: g for g, members in measured.grouping.classes().items() for k in members}
    memory = None if found.memorisation is None else asdict(found.memorisation)
    if memory is not None and found.memorisation is not None:
        memory["pairs"] = [pair._asdict() for pair in found.memorisation.pairs]
    return {
        "name": found.name,
        "metrics": {name: {"shown": shown(name, found), "better": ASKABLE[name].direction} for name in measured.whole},
        "whole": _plain(measured.whole),
        "groups": {group: _plain(figures) for group, figures in measured.by_group.items()},
        "classes": [
            {
                "class": names[k],
                "group": groups[k],
                "trained_on": measured.grouping.counts[k],
                "figures": _plain(figures),
            }
            for k, figures in measured.by_class.items()
        ],
        "worst": {name: {"class": names[w.label], **asdict(w.figure)} for name, w in measured.worst.items()},
        "memorisation": memory,
        "protocol": asdict(found.protocol),
        "notes": list(found.notes),
        "words": list(sentences(found)),
    }


def _plain(figures: Mapping[str, Figure]) -> dict[str, Any]:
    return {name: asdict(figure) for name, figure in figures.items()}
