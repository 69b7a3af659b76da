"""Words of a quality page: what helped and what did not, by the paired differences alone.

Law: a method is called better or worse for a part only where the interval of its paired difference from the baseline
leaves out zero; without an interval nothing is called either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evenscore.report.quality import Measure, MethodReport, Part, QualityReport, Section, Value
from evenscore.report.scale import bounds, given
from evenscore.report.words import join, many, number

NAMED = 6
"""Classes that a sentence names at most."""


@dataclass(frozen=True)
class Outcome:
    """Parts for which a method is better, worse, and neither; ``known`` counts those with an interval."""

    better: tuple[Part, ...]
    worse: tuple[Part, ...]
    known: int


def named(part: Part) -> str:
    """The name of a part for readers."""
    return "all samples" if part.kind == "all" else part.name


def trained(part: Part) -> str:
    """``trained on 125``, or nothing where that is not known."""
    return "" if part.trained_on is None else f"trained on {number(part.trained_on)}"


def verdict(measure: Measure, difference: Value) -> str:
    """``better``, ``worse``, or nothing where the interval of the difference holds zero or is not known."""
    ends = bounds(difference)
    if ends is None or not given(difference) or ends[0] <= 0 <= ends[1]:
        return ""
    return "better" if (ends[1] < 0) == (measure.better == "lower") else "worse"


def outcome(measure: Measure, parts: Sequence[Part], differences: Sequence[Value]) -> Outcome:
    """How a method compares with the baseline over some parts."""
    pairs = [(part, verdict(measure, value)) for part, value in zip(parts, differences, strict=True)]
    found = {word: tuple(part for part, said in pairs if said == word) for word in ("better", "worse")}
    known = sum(given(value) and bounds(value) is not None for value in differences)
    return Outcome(found["better"], found["worse"], known)


def told(report: QualityReport, section: Section, measure: Measure) -> tuple[str, ...]:
    """One sentence for each method that has differences by this measure."""
    methods = [method for method in section.methods if method.differences.get(measure.key)]
    return tuple(_sentence(report, method, measure) for method in methods)


def gist(report: QualityReport, section: Section, measure: Measure) -> str:
    """The same in a few words for all methods, for the head of a closed part of the page."""
    found = []
    for method in section.methods:
        differences = method.differences.get(measure.key)
        if differences:
            classes = _of_kind(report.parts, differences, "class")
            result = outcome(measure, *classes)
            found.append(f"{method.name}: {len(result.better)} better, {len(result.worse)} worse")
    return f"{'; '.join(found)} of {many(_classes(report), 'class')}" if found else ""


def chance(report: QualityReport, section: Section) -> str:
    """How many stars a table would have if no method changed anything; empty where there are none."""
    differences = [d for m in section.methods for values in m.differences.values() for d in values]
    known = sum(given(value) and bounds(value) is not None for value in differences)
    if not known:
        return ""
    return (
        f"An interval of 95 % leaves out zero in 1 of 20 cases by chance alone: among the {number(known)} differences "
        f"of this section expect about {max(1, round(known / 20))} without any effect behind them."
    )


def _sentence(report: QualityReport, method: MethodReport, measure: Measure) -> str:
    differences = method.differences[measure.key]
    head = f"{method.name} against {report.baseline or 'the baseline'}"
    result = outcome(measure, *_of_kind(report.parts, differences, "class"))
    whole = outcome(measure, *_of_kind(report.parts, differences, "all", "group", "worst"))
    if not result.known and not whole.known:
        return f"{head}: the differences have no interval, so they may be chance."
    said = [
        f"{word} for {_names(parts)}" for word, parts in (("better", whole.better), ("worse", whole.worse)) if parts
    ]
    total = _classes(report)
    if total:
        counted = [f"{word} in {_counted(parts)}" for word, parts in _both(result) if parts]
        open_ = total - len(result.better) - len(result.worse)
        rest = [f"neither in {number(open_)}"] if open_ else []
        said.append(f"of {many(total, 'class')} {join([*counted, *rest])}")
    elif not said:
        said.append("no difference that is more than chance")
    return f"{head}: {'; '.join(said)}."


def _both(found: Outcome) -> tuple[tuple[str, tuple[Part, ...]], ...]:
    return ("better", found.better), ("worse", found.worse)


def _counted(parts: Sequence[Part]) -> str:
    names = [part.name for part in parts[:NAMED]]
    if len(parts) > NAMED:
        names.append(f"{number(len(parts) - NAMED)} more")
    return f"{number(len(parts))} ({join(names)})"


def _names(parts: Sequence[Part]) -> str:
    words = {"all": "all samples", "worst": "the worst class"}
    return join([words.get(part.kind, f"the {part.name} classes") for part in parts])


def _classes(report: QualityReport) -> int:
    return sum(part.kind == "class" for part in report.parts)


def _of_kind(parts: Sequence[Part], values: Sequence[Value], *kinds: str) -> tuple[list[Part], list[Value]]:
    chosen = [(part, value) for part, value in zip(parts, values, strict=True) if part.kind in kinds]
    return [part for part, _ in chosen], [value for _, value in chosen]
