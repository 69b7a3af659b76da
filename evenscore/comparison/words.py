"""Verdicts in words: whether a method helped, whom, or hurt, or that it cannot be told.

Law: a method helped where the interval of a paired difference leaves out zero on the better side; it is said to beat the
baseline only where nothing that is looked at got worse. What cannot be told is not called equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from evenscore.comparison.table import is_clear
from evenscore.evaluation.words import number
from evenscore.report.quality import Measure, Part, Value

DISTANCES = ("kernel", "energy", "frechet")
"""A verdict rests on the first of these that was measured by class, and on label agreement; else on the first measure."""
Kind = Literal["helped", "hurt", "mixed", "unclear", "none"]


@dataclass(frozen=True)
class Verdict:
    """What is said of a method: the kind, and the sentence."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class _Change:
    """One difference whose interval leaves out zero."""

    measure: Measure
    part: Part
    value: Value

    @property
    def better(self) -> bool:
        assert self.value.value is not None
        return (self.value.value < 0) == (self.measure.better == "lower")

    @property
    def text(self) -> str:
        assert self.value.value is not None
        way = "lower" if self.value.value < 0 else "higher"
        return f"{self.measure.shown} {way} by {_size(self.value)} for {whom(self.part)}"


def headlines(measures: Sequence[Measure], differences: Mapping[str, Sequence[Value]]) -> list[Measure]:
    """The measures that a verdict rests on: a distance that has a value for every group, and label agreement."""
    there = [m for m in measures if any(value.value is not None for value in differences.get(m.key, ()))]
    complete = [m for m in there if all(value.value is not None for value in differences[m.key])]
    distance = [m for key in DISTANCES for m in complete if m.key == key][:1]
    agreement = [m for m in there if m.key == "agreement"]
    return distance + agreement or there[:1]


def looked_at(parts: Sequence[Part]) -> list[int]:
    """Places of the parts that a verdict rests on: all samples, groups and the worst class."""
    return [i for i, part in enumerate(parts) if part.kind != "class"]


def whom(part: Part) -> str:
    """A part as it stands in a sentence."""
    words = {"all": "all samples", "worst": "the worst class", "group": f"{part.name} classes"}
    return words.get(part.kind, f"class {part.name}")


def verdict(
    title: str,
    baseline: str,
    measures: Sequence[Measure],
    parts: Sequence[Part],
    differences: Mapping[str, Sequence[Value]],
    failures: Sequence[str] = (),
) -> Verdict:
    """The sentence on a method.

    Args:
        title, baseline: of the methods.
        measures, parts: of the figures.
        differences: paired, from the baseline.
        failures: sentences on its runs that failed.
    """
    chosen = headlines(measures, differences)
    if not chosen:
        reason = f": {failures[0]}" if failures else ""
        return Verdict("none", f"{title} cannot be compared with {baseline}{reason or ', for want of a common seed'}.")
    pairs = [(m, parts[i], differences[m.key][i]) for m in chosen for i in looked_at(parts)]
    with_interval = [pair for pair in pairs if pair[2].low is not None]
    names = " or ".join(m.shown for m in chosen)
    if not with_interval:
        return Verdict("unclear", f"{title} cannot be told from {baseline} by {names}: no difference has an interval.")
    changes = [_Change(*pair) for pair in with_interval if is_clear(pair[2])]
    better, worse = [c for c in changes if c.better], [c for c in changes if not c.better]
    if not changes:
        groups = ", ".join(whom(parts[i]) for i in looked_at(parts))
        return Verdict(
            "unclear",
            f"{title} cannot be told from {baseline} by {names}: every interval of its differences ({groups}) holds zero.",
        )
    if not worse:
        return Verdict(
            "helped", f"{title} helped against {baseline}: {_list(better)}; nothing that was looked at got worse."
        )
    if not better:
        return Verdict(
            "hurt", f"{title} hurt against {baseline}: {_list(worse)}; nothing that was looked at got better."
        )
    return Verdict(
        "mixed", f"{title} helped some and hurt others against {baseline}: {_list(better)}; but {_list(worse)}."
    )


def section_words(rule: str, baseline: str, verdicts: Sequence[Verdict]) -> Iterator[str]:
    """What a section says: first whether anything beat the baseline, then a sentence for each method."""
    if all(v.kind != "helped" for v in verdicts):
        yield f"At equal {rule} no method beat the baseline {baseline}."
    yield from (v.text for v in verdicts)


def chance(intervals: int) -> str:
    """How many stars come by chance."""
    return (
        f"{intervals} intervals of 95 % stand here; where nothing differs, about {number(0.05 * intervals)} of so many leave "
        "out zero by chance. One star is a hint, a pattern of them is a result."
    )


def _list(changes: Sequence[_Change]) -> str:
    return ", ".join(change.text for change in changes)


def _size(value: Value) -> str:
    assert value.value is not None
    assert value.low is not None
    assert value.high is not None
    low, high = sorted((abs(value.low), abs(value.high)))
    return f"{number(abs(value.value))} ({number(low)} to {number(high)})"
