"""Tables of a quality page: every figure with its interval below it, stars and verdicts, and why some are not given.

Law: a table holds every part of the report, however many; a star stands beside a value whose paired difference from the
baseline leaves out zero; of what is not given the reason stands below the table, once, with the parts it is about.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evenscore.report.quality import Measure, MethodReport, Part, QualityReport, Section, Value
from evenscore.report.quality_words import NAMED, named, trained, verdict
from evenscore.report.scale import Scale, bounds, given, scale_of
from evenscore.report.words import join, number

NOT_GIVEN = "–"


@dataclass(frozen=True)
class Cell:
    """A figure in words: its value, its interval, whether it has a star, and ``better`` or ``worse``."""

    value: str
    interval: str = ""
    star: bool = False
    verdict: str = ""
    note: str = ""


@dataclass(frozen=True)
class Line:
    """A row: the name and kind of its part, its group, the training samples in words, its cells."""

    name: str
    kind: str
    group: str
    trained: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """A table in words; ``heads`` are groups of columns with their widths, empty where there is one row of headings."""

    caption: str
    first: str
    heads: tuple[tuple[str, int], ...]
    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...]


def measure_table(report: QualityReport, section: Section, measure: Measure) -> Table:
    """All parts by one measure: a column for each method, then one for each paired difference."""
    methods = [method for method in section.methods if measure.key in method.figures]
    others = [method for method in methods if method.differences.get(measure.key)]
    scale = scale_of(value for method in methods for value in method.figures[measure.key])
    lines = []
    for i, part in enumerate(report.parts):
        cells = [_value(method, measure, i, part, scale) for method in methods]
        cells += [_difference(measure, method.differences[measure.key][i], scale) for method in others]
        lines.append(_line(part, cells))
    heads = (("value", len(methods)), (f"difference from {report.baseline or 'the baseline'}", len(others)))
    columns = (*(m.name for m in methods), *(m.name for m in others))
    caption = f"{measure.shown}, {measure.better} is better: {measure.meaning}."
    notes = _notes(
        report.parts, [m.figures[measure.key] for m in methods], [m.differences[measure.key] for m in others]
    )
    return Table(caption, "Part", heads if others else (), columns, tuple(lines), notes)


def method_table(report: QualityReport, method: MethodReport) -> Table:
    """All parts of one method: a column for each measure."""
    measures = [measure for measure in report.measures if measure.key in method.figures]
    scales = [scale_of(method.figures[measure.key]) for measure in measures]
    lines = []
    for i, part in enumerate(report.parts):
        cells = [_value(method, m, i, part, s) for m, s in zip(measures, scales, strict=True)]
        lines.append(_line(part, cells))
    columns = tuple(f"{m.shown} ({'↓' if m.better == 'lower' else '↑'})" for m in measures)
    caption = "Every figure by part. ↓ lower is better, ↑ higher is better."
    notes = _notes(report.parts, [method.figures[m.key] for m in measures])
    return Table(caption, "Part", (), columns, tuple(lines), notes)


def glance_table(report: QualityReport, section: Section, measure: Measure) -> Table:
    """The methods by one measure over all samples, the groups and the worst class: a row for each method."""
    places = [i for i, part in enumerate(report.parts) if part.kind != "class"]
    methods = [method for method in section.methods if measure.key in method.figures]
    scale = scale_of(m.figures[measure.key][i] for m in methods for i in places)
    lines = []
    for method in methods:
        cells = tuple(_value(method, measure, i, report.parts[i], scale, judged=True) for i in places)
        kind = "baseline" if method.name == report.baseline and len(methods) > 1 else "method"
        lines.append(Line(method.name, kind, "", "", cells))
    caption = f"{measure.shown}, {measure.better} is better: {measure.meaning}."
    columns = tuple(named(report.parts[i]) for i in places)
    return Table(caption, "Method", (), columns, tuple(lines), ())


def facts_table(section: Section) -> Table | None:
    """What is known of each method: seeds, steps, seconds, ...; None where nothing is."""
    keys = list(dict.fromkeys(key for method in section.methods for key in method.facts))
    if not keys:
        return None
    lines = [
        Line(method.name, "method", "", "", tuple(Cell(method.facts.get(key, NOT_GIVEN)) for key in keys))
        for method in section.methods
    ]
    return Table("What each method was given.", "Method", (), tuple(keys), tuple(lines), ())


def _value(method: MethodReport, measure: Measure, i: int, part: Part, scale: Scale, *, judged: bool = False) -> Cell:
    value = method.figures[measure.key][i]
    if value.value is None or not given(value):
        return Cell(NOT_GIVEN)
    differences = method.differences.get(measure.key)
    found = verdict(measure, differences[i]) if differences else ""
    note = value.note if part.kind == "worst" else ""
    return Cell(scale.words(value.value), _interval(value, scale.words), bool(found), found if judged else "", note)


def _difference(measure: Measure, value: Value, scale: Scale) -> Cell:
    if value.value is None or not given(value):
        return Cell(NOT_GIVEN)
    found = verdict(measure, value)
    return Cell(scale.signed(value.value), _interval(value, scale.signed), bool(found), found)


def _interval(value: Value, write: Callable[[float], str]) -> str:
    ends = bounds(value)
    return "" if ends is None else f"{write(ends[0])} to {write(ends[1])}"


def _line(part: Part, cells: Sequence[Cell]) -> Line:
    return Line(named(part), part.kind, part.group, trained(part), tuple(cells))


def _notes(parts: Sequence[Part], *columns: Sequence[Sequence[Value]]) -> tuple[str, ...]:
    """Each reason once, with the parts that it is about; what is not given comes first."""
    about: dict[tuple[bool, str], dict[str, None]] = {}
    for values in (values for several in columns for values in several):
        for part, value in zip(parts, values, strict=True):
            if value.note and not (given(value) and part.kind == "worst"):
                about.setdefault((given(value), value.note), {})[part.name] = None
    return tuple(_note(is_given, note, list(names)) for (is_given, note), names in sorted(about.items()))


def _note(is_given: bool, note: str, names: list[str]) -> str:
    listed = names[:NAMED] + ([f"{number(len(names) - NAMED)} more"] if len(names) > NAMED else [])
    return f"{join(listed)}: {'' if is_given else 'not given, '}{note}"
