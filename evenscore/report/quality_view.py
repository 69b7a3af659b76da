"""The quality page: figures by class with intervals, methods side by side, in one HTML file without network or script.

Law: the answer comes first, and every figure of the report is in a table, however many classes there are; charts show at
most ``MOST_ROWS`` classes, of more the worst ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evenscore.report import charts
from evenscore.report.charts import LOWEST, MOST_ROWS
from evenscore.report.environment import render
from evenscore.report.quality import Measure, MethodReport, Part, QualityReport, Section, Value
from evenscore.report.quality_charts import Row, Series, difference_chart, symbol, value_chart
from evenscore.report.quality_figures import pictures, suspicious
from evenscore.report.quality_tables import Table, facts_table, glance_table, measure_table, method_table
from evenscore.report.quality_words import chance, gist, named, told, trained
from evenscore.report.scale import given, scale_of
from evenscore.report.words import many, number

BASELINE = charts.STYLES - 1
"""The style of the baseline where there are several methods: grey."""


@dataclass(frozen=True)
class Legend:
    """Shape and name of each method."""

    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class MeasureView:
    """One measure in one section: charts, the table where methods are compared, and what the charts leave out."""

    measure: Measure
    gist: str
    legend: Legend
    values: str
    differences: str
    difference_legend: Legend
    omitted: str
    table: Table | None


@dataclass(frozen=True)
class CurveView:
    """A chart of something that was followed in training, with its lines by style and name."""

    title: str
    chart: str
    lines: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class SectionView:
    """One section, ready to be written."""

    title: str
    words: tuple[str, ...]
    told: tuple[str, ...]
    chance: str
    failures: tuple[tuple[str, str], ...]
    several: bool
    glance: Table | None
    views: tuple[MeasureView, ...]
    table: Table | None
    facts: Table | None
    curves: tuple[CurveView, ...]
    settings: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


def quality_page(report: QualityReport) -> str:
    """The page as HTML text."""
    sections = tuple(_section(report, section) for section in report.sections)
    return render(
        "quality.html",
        report=report,
        sections=sections,
        pictures=pictures(report),
        pairs=suspicious(report),
        failed=sum(len(view.failures) for view in sections),
        classes=sum(part.kind == "class" for part in report.parts),
    )


def series_of(report: QualityReport, methods: Sequence[MethodReport]) -> list[Series]:
    """The methods with their styles, the same all over the page: the baseline grey, the others in their order."""
    names = list(dict.fromkeys(method.name for section in report.sections for method in section.methods))
    baseline = report.baseline if len(names) > 1 else ""
    others = [name for name in names if name != baseline]
    styles = {name: i + (i >= BASELINE) for i, name in enumerate(others)} | {baseline: BASELINE}
    return [Series(method.name, styles[method.name]) for method in methods]


def shown_classes(report: QualityReport, section: Section, measure: Measure) -> list[int]:
    """Places of the classes that a chart shows: those with most training samples first, or of too many the worst."""
    places = [i for i, part in enumerate(report.parts) if part.kind == "class"]
    if len(places) <= MOST_ROWS:
        return sorted(places, key=lambda i: -(report.parts[i].trained_on or 0))
    figures = [method.figures[measure.key] for method in section.methods if measure.key in method.figures]

    def badness(i: int) -> float:
        known = [v[i].value for v in figures if given(v[i])]
        values = [value if measure.better == "lower" else -value for value in known if value is not None]
        return max(values, default=float("-inf"))

    return sorted(places, key=badness, reverse=True)[:LOWEST]


def _section(report: QualityReport, section: Section) -> SectionView:
    several = len(section.methods) > 1
    measures = [m for m in report.measures if any(m.key in method.figures for method in section.methods)]
    head = measures[0] if measures and report.parts else None
    return SectionView(
        title=section.title,
        words=section.words,
        told=told(report, section, head) if head else (),
        chance=chance(report, section),
        failures=tuple((method.name, words) for method in section.methods for words in method.failures),
        several=several,
        glance=glance_table(report, section, head) if head and several else None,
        views=tuple(_measure(report, section, m, with_table=several) for m in measures) if report.parts else (),
        table=method_table(report, section.methods[0]) if head and not several else None,
        facts=facts_table(section),
        curves=tuple(view for method in section.methods for view in _curves(method, several)),
        settings=tuple((m.name, tuple(m.settings.items())) for m in section.methods if m.settings),
    )


def _measure(report: QualityReport, section: Section, measure: Measure, *, with_table: bool) -> MeasureView:
    methods = _methods(section, measure)
    others = [method for method in methods if method.differences.get(measure.key)]
    scale = scale_of(value for method in methods for value in method.figures[measure.key])
    places = shown_classes(report, section, measure)
    total = sum(part.kind == "class" for part in report.parts)
    series = {each.name: each for each in series_of(report, methods)}
    drawn = [series[method.name] for method in others]
    overall = [i for i, part in enumerate(report.parts) if part.kind != "class"]
    rows = [*overall, *places]
    values = _rows(report.parts, rows, [method.figures[measure.key] for method in methods])
    apart = _rows(report.parts, rows, [method.differences[measure.key] for method in others], words=False)
    short = f"The {number(len(places))} worst of {many(total, 'class')} are drawn; the table holds all."
    return MeasureView(
        measure=measure,
        gist=gist(report, section, measure),
        legend=_legend(report, methods),
        values=value_chart(values, list(series.values()), measure, scale),
        differences=difference_chart(apart, drawn, measure, scale, len(methods)) if others else "",
        difference_legend=Legend(tuple((symbol(each), each.name) for each in drawn)),
        omitted=short if len(places) < total else "",
        table=measure_table(report, section, measure) if with_table else None,
    )


def _methods(section: Section, measure: Measure) -> list[MethodReport]:
    return [method for method in section.methods if measure.key in method.figures]


def _legend(report: QualityReport, methods: Sequence[MethodReport]) -> Legend:
    return Legend(tuple((symbol(each), each.name) for each in series_of(report, methods)) if len(methods) > 1 else ())


def _rows(
    parts: Sequence[Part], places: Sequence[int], columns: Sequence[Sequence[Value]], *, words: bool = True
) -> list[Row]:
    return [
        Row(named(parts[i]), _said(parts[i]) if words else "", parts[i].kind, tuple(column[i] for column in columns))
        for i in places
    ]


def _said(part: Part) -> str:
    return ", ".join(word for word in (part.group, trained(part)) if word)


def _curves(method: MethodReport, several: bool) -> list[CurveView]:
    found = []
    for name, lines in method.curves.items():
        drawn = charts.loss_chart(lines, name.partition(" by ")[0])
        if drawn:
            named = tuple((i % charts.STYLES, line) for i, line in enumerate(lines) if charts.smooth(lines[line]))
            found.append(CurveView(f"{name}, {method.name}" if several else name, drawn, named))
    return found
